"""The same bytes from the same seed, on accelerators too."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deterministic(device: str) -> Iterator[None]:
    """Inside, torch uses deterministic kernels on an accelerator, where some of its fastest are not.

    On a CPU its kernels are deterministic at a given number of threads, so nothing is changed.
    """
    if device == "cpu":
        yield
        return
    import torch

    # cuBLAS reads this when it starts, and is not reproducible without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
