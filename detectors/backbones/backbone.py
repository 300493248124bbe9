"""A pretrained network that gives the outputs of some of its modules, and runs no further than the last."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.errors import BenchError, did_you_mean
from detectors.backbones import PUBLISHED, imagenet_weights
from detectors.pretrained import IMAGENET, embedded_state, verified


class _Reached(Exception):
    """The last layer has its output; what follows need not run."""


class Backbone(nn.Module):
    """Outputs of `layers`, each (B, C, H, W), of images float32 (B, 3, H, W) in [0, 1].

    Layers are module names as `named_modules` gives them. Tokens (B, N, C) of a transformer become a square
    map without its class tokens.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, layers: Sequence[str]) -> None:
        super().__init__()
        self.name, self.layers = name, tuple(layers)
        self.network = _build(name)
        self.channels_last = _gives_channels_last(self.network)
        config = getattr(self.network, "pretrained_cfg", None) or {}
        mean, std = config.get("mean", IMAGENET[0]), config.get("std", IMAGENET[1])
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._outputs: dict[str, Tensor] = {}
        modules = dict(self.network.named_modules())
        for layer in self.layers:
            if layer not in modules:
                raise BenchError(did_you_mean("layer", layer, [m for m in modules if m], of=name))
            modules[layer].register_forward_hook(self._keep(layer))
        self.eval().requires_grad_(False)

    def _keep(self, layer: str):  # type: ignore[no-untyped-def]
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            self._outputs[layer] = output
            if len(self._outputs) == len(self.layers):
                raise _Reached

        return hook

    def forward(self, images: Tensor) -> list[Tensor]:
        self._outputs = {}
        with suppress(_Reached):
            self.network((images - self.mean) / self.std)
        outputs, self._outputs = self._outputs, {}
        return [self._as_map(outputs[layer], layer) for layer in self.layers]

    def _as_map(self, output: Tensor, layer: str) -> Tensor:
        if output.dim() == 3:  # (B, tokens, C)
            side = int(output.shape[1] ** 0.5)
            tokens = output[:, output.shape[1] - side * side :]
            return tokens.transpose(1, 2).unflatten(2, (side, side))
        if output.dim() != 4:
            raise BenchError(
                f"layer '{layer}' of {self.name} gives no map: its output is {tuple(output.shape)}"
            )
        return output.permute(0, 3, 1, 2) if self.channels_last else output

    def used_state(self, side: int) -> dict[str, Tensor]:
        """The tensors of the modules that a forward pass runs through, for images of `side`."""
        ran: set[str] = set()
        handles = [
            module.register_forward_pre_hook(lambda *_, name=name: ran.add(name))
            for name, module in self.network.named_modules()
        ]
        self(torch.zeros(1, 3, side, side, device=self.mean.device))
        for handle in handles:
            handle.remove()
        state = self.network.state_dict()
        return {name: t.cpu().contiguous() for name, t in state.items() if name.rpartition(".")[0] in ran}


def pretrained(name: str, layers: Sequence[str], source: str, weights: Path | None) -> Backbone:
    """A backbone with its weights; random ones are drawn from torch's global generator."""
    backbone = Backbone(name, layers)
    if source == "embedded":
        backbone.network.load_state_dict(embedded_state(backbone.network))
    elif source == "imagenet":
        path = imagenet_weights(name, weights)
        if path is None:
            raise FileNotFoundError(f"no weights of {name}")
        if path.name == PUBLISHED.get(name):
            verified(path)
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            backbone.network.load_state_dict(state)
        except RuntimeError as error:
            raise BenchError(f"{path} does not fit {name}: {str(error).splitlines()[-1].strip()}") from None
    return backbone


def stored(name: str, layers: Sequence[str], path: Path) -> Backbone:
    """A backbone with the tensors that `used_state` gave; the modules that are never run keep any others."""
    backbone = Backbone(name, layers)
    wanting = backbone.network.load_state_dict(load_file(path), strict=False)
    assert not wanting.unexpected_keys, wanting.unexpected_keys
    return backbone


def to_input(images: np.ndarray, device: str) -> Tensor:
    """uint8 [B, H, W, 3] to float32 (B, 3, H, W) in [0, 1]."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)  # a copy: torch warns of read-only arrays
    return (x.to(device).float() / 255).contiguous(memory_format=torch.channels_last)


def _build(name: str) -> nn.Module:
    if name.startswith("timm/"):
        import timm

        bare = name.removeprefix("timm/")
        if not timm.is_model(bare):
            raise BenchError(did_you_mean("network of timm", bare, timm.list_models()))
        try:
            return timm.create_model(bare, pretrained=False, dynamic_img_size=True)
        except TypeError:  # only transformers with position embeddings take that
            return timm.create_model(bare, pretrained=False)
    from torchvision import models

    if name not in models.list_models():
        raise BenchError(did_you_mean("network of torchvision", name, models.list_models()))
    if name in ("googlenet", "inception_v3"):
        return models.get_model(name, weights=None, init_weights=True)
    return models.get_model(name, weights=None)


def _gives_channels_last(network: nn.Module) -> bool:
    from torchvision.models import SwinTransformer

    return isinstance(network, SwinTransformer) or str(getattr(network, "output_fmt", "")) == "NHWC"
