"""Training in less memory, to the same bytes: what a backward pass needs waits in a file.

Most of what a step of training holds is what autograd keeps from the forward for the backward pass. Smaller
batches would need less but give other bits (sums in another order, other statistics of batch norm); a tensor
that is written to a file and read back is the same tensor, at the same strides, on the same device.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from bench.methods.context import Context

if TYPE_CHECKING:
    import torch

LEAST = 1 << 16
"""Bytes of a tensor that is worth writing to the file."""


@contextmanager
def spilled(ctx: Context) -> Iterator[None]:
    """Inside, where `ctx.frugal` asks for it, what torch saves for backward passes lies in a file of the
    scratch folder, which is gone afterwards. Put it around training steps; elsewhere it changes nothing."""
    if not ctx.frugal:
        yield
        return
    import torch

    with tempfile.TemporaryFile(dir=ctx.scratch) as file:
        shelf = _Shelf(file)
        with torch.autograd.graph.saved_tensors_hooks(shelf.put, shelf.get):
            yield


class _SavedTensor:
    """The position of a tensor on the shelf."""

    def __init__(self, shelf: _Shelf, tensor: torch.Tensor, start: int) -> None:
        self.shelf, self.start = shelf, start
        self.size, self.stride = tensor.size(), tensor.stride()
        self.dtype, self.device = tensor.dtype, tensor.device

    def __del__(self) -> None:
        self.shelf.drop()


class _Shelf:
    """Tensors one after another in a file, which is emptied whenever none of them is needed any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.end = self.count = 0

    def put(self, tensor: torch.Tensor) -> torch.Tensor | _SavedTensor:
        import torch

        learned = tensor.is_leaf and tensor.requires_grad  # held by the network in any case
        repeated = any(
            step == 0 and size > 1 for size, step in zip(tensor.size(), tensor.stride(), strict=True)
        )
        if tensor.layout != torch.strided or learned or repeated or tensor.nbytes < LEAST:
            return tensor.detach()  # an output that kept itself would never be freed
        entry = _SavedTensor(self, tensor, self.end)
        self.file.seek(self.end)
        self.file.write(_bytes_of(_in_storage_order(tensor.detach()).cpu()))
        self.count += 1
        self.end += tensor.nbytes
        return entry

    def get(self, entry: torch.Tensor | _SavedTensor) -> torch.Tensor:
        import torch

        if isinstance(entry, torch.Tensor):
            return entry
        tensor = torch.empty_strided(entry.size, entry.stride, dtype=entry.dtype, device=entry.device)
        flat = _in_storage_order(tensor)
        room = torch.empty(flat.size(), dtype=entry.dtype)
        self.file.seek(entry.start)
        if self.file.readinto(_bytes_of(room)) != room.nbytes:  # type: ignore[attr-defined]
            raise OSError("the file of saved tensors is shorter than it was written")
        flat.copy_(room)
        return tensor

    def drop(self) -> None:
        self.count -= 1
        if self.count == 0:
            self.end = 0
            if not self.file.closed:
                self.file.truncate(0)


def _in_storage_order(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor with its dimensions sorted by stride: contiguous, unless it has gaps."""
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(order)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a contiguous tensor, a copy of one that has gaps."""
    import torch

    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
