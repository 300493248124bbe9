"""Maps and scores of a trained DRAEM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from bench.methods import Batch, Prediction
from bench.methods.context import Context
from detectors.draem import DraemParams
from detectors.draem.examples import seen
from detectors.draem.network import DraemNetwork


def predict(model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
    """One Prediction a batch, by the model in the folder `model`."""
    # The folder knows what it was trained with; the caller's parameters might differ.
    params = DraemParams.model_validate_json((model / "params.json").read_text())
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        network = DraemNetwork(params.reconstructive_width, params.discriminative_width)
    network.load_state_dict(load_file(model / "model.safetensors", device="cpu"))
    network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last).eval()
    kind = torch.device(ctx.device).type
    for batch in images:
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=params.precision == "bf16"):
            height, width = batch.images.shape[1:3]
            logits = network(to_input(seen(batch.images, params.size), ctx.device))[1]
            maps = torch.softmax(logits, dim=1)[:, 1]
            scores = image_scores(maps, params.score_window)
            if params.size is not None:
                maps = F.interpolate(maps[:, None], (height, width), mode="bilinear")[:, 0]
            prediction = Prediction(score=scores.cpu().numpy(), amap=maps.cpu().numpy())
        yield prediction


def to_input(images: np.ndarray, device: str) -> Tensor:
    """Images uint8 [B, H, W, 3] as float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    return x.contiguous(memory_format=torch.channels_last)


def image_scores(maps: Tensor, window: int) -> Tensor:
    """The highest mean of maps (B, H, W) over `window` x `window` pixels, zeros beyond the border: (B,).

    As in test_DRAEM.py, with 21.
    """
    means = F.avg_pool2d(maps[:, None], window, stride=1, padding=window // 2)
    return means.flatten(1).amax(dim=1)
