"""What waits in a file for a backward pass comes back as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.methods.context import Context
from bench.methods.training.spill import _SavedTensor, _Shelf, spilled

LARGE = torch.arange(64 * 48 * 40, dtype=torch.float32).reshape(4, 16, 48, 40)


def context(scratch: Path, *, frugal: bool) -> Context:
    return Context(0, "detector.fit", "unet", "", "cpu", scratch, frugal=frugal)


@pytest.mark.parametrize(
    "tensor",
    [
        LARGE,
        LARGE.contiguous(memory_format=torch.channels_last),
        LARGE[:, 2:-2, 1:-1],
        LARGE.transpose(1, 3),
        LARGE.bfloat16(),
        LARGE > 7,
        LARGE[:1].expand(4, 16, 48, 40),
        torch.zeros(0, 3),
        torch.tensor(1.0),
    ],
    ids=["plain", "channels last", "cut out", "turned", "bfloat16", "bool", "repeated", "empty", "scalar"],
)
def test_a_tensor_keeps_values_strides_and_kind(tensor: torch.Tensor, tmp_path: Path) -> None:
    with (tmp_path / "shelf").open("w+b") as file:
        shelf = _Shelf(file)
        back = shelf.get(shelf.put(tensor))
    assert torch.equal(back, tensor)
    assert (back.stride(), back.dtype) == (tensor.stride(), tensor.dtype)


def test_the_file_is_emptied_when_nothing_in_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "shelf"
    with path.open("w+b") as file:
        shelf = _Shelf(file)
        kept: list[Any] = [shelf.put(LARGE), shelf.put(LARGE)]
        assert all(isinstance(each, _SavedTensor) for each in kept)
        assert path.stat().st_size >= LARGE.nbytes
        kept.clear()
        assert path.stat().st_size == 0


def test_gradients_are_the_same_bytes_and_nothing_is_left(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    images = torch.linspace(0, 1, 8 * 3 * 64 * 64).reshape(8, 3, 64, 64)
    grads = {}
    for frugal in (False, True):
        network.zero_grad()
        with spilled(context(tmp_path, frugal=frugal)):
            network(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        grads[frugal] = [parameter.grad for parameter in network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(grads[False], grads[True], strict=True))
    assert list(tmp_path.iterdir()) == []
