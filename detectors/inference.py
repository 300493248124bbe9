"""Tensors from batches, and predictions of a trained network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.methods import Batch, Prediction
from bench.methods.context import Context
from detectors.supervised import as_prediction

if TYPE_CHECKING:
    from detectors.supervised import Supervised

STRIDE = 32


def to_input(images: np.ndarray, adapter: Supervised, device: str) -> Tensor:
    """Images uint8 [B, H, W, 3] as the network's input float32 (B, 3, H, W), channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in adapter.normalisation)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def forward(network: nn.Module, x: Tensor, adapter: Supervised) -> list[Tensor]:
    """The logits of the network, float32, maps at the size of x; first the output, then auxiliary ones."""
    with autocast(adapter, x.device.type):
        height, width = x.shape[-2:]
        # Encoders halve five times; the papers' 256 and 512 need no padding.
        padded = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        output = network(padded)
    outputs = output if isinstance(output, list) else [output]
    return [o.float()[..., :height, :width] if o.dim() == 4 else o.float() for o in outputs]


def autocast(adapter: Supervised, device_type: str) -> AbstractContextManager:
    return torch.autocast(device_type, torch.bfloat16, enabled=adapter.params.precision == "bf16")


def infer(adapter: Supervised, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
    """Predictions of the model in the folder `model`, one a batch, in order."""
    state = load_file(model / "model.safetensors", device="cpu")
    classes = len(json.loads((model / "classes.json").read_text()))
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        network = adapter.network(classes, None, pretrained=False)
    network.load_state_dict(state)
    network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last).eval()
    for batch in images:
        with torch.inference_mode():
            logits = forward(network, to_input(batch.images, adapter, ctx.device), adapter)[0]
            values = logits if adapter.task == "classification" else torch.softmax(logits, dim=1)[:, 1]
            prediction = as_prediction(adapter.task, values.cpu().numpy())
        yield prediction
