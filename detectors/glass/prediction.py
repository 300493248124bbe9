"""Maps and scores of a trained GLASS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file

from bench.methods import Batch, Prediction
from bench.methods.context import Context
from detectors.backbones.backbone import stored
from detectors.backbones.maps import image_maps
from detectors.glass import GlassParams
from detectors.glass.features import features
from detectors.glass.network import GlassNetwork


def predict(model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
    """One Prediction a batch, by the model in the folder `model`."""
    # The folder knows what it was trained with; the caller's parameters might differ.
    params = GlassParams.model_validate_json((model / "params.json").read_text())
    state = load_file(model / "model.safetensors", device="cpu")
    places, dimension = state["centre"].shape
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        backbone = stored(params.backbone, params.layers, model / "backbone.safetensors")
        network = GlassNetwork(dimension, places, params.hidden, params.hidden_layers)
    network.load_state_dict(state)
    device = torch.device(ctx.device)
    backbone.to(device).to(memory_format=torch.channels_last)
    network.to(device).eval()
    for batch in images:
        with torch.inference_mode():
            embedded, shape = features(params, backbone, batch.images, ctx.device)
            logits = network.discriminate(network.adapt(embedded.flatten(0, 1)))
            patches = torch.sigmoid(logits).unflatten(0, (len(embedded), *shape))  # (B, h, w)
            side = batch.images.shape[1]
            amap = image_maps(patches, params.size or side, None, side, "amazon", params.sigma)
            scores = patches.flatten(1).amax(dim=1)
        yield Prediction(score=scores.cpu().numpy(), amap=amap.cpu().numpy())
