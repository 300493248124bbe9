"""Named random streams: every draw in DefectBench comes from one of these.

A stream is a function of names alone, `f(seed, stage, adapter, category, name, index)`. What an adapter is
fed is left out on purpose: adding a method never changes another's numbers, and a detector starts from the
same weights whichever generator feeds it, so that differences between generators are paired.
"""

import hashlib
import json

import numpy as np


def stream_seed(*names: str | int | None) -> int:
    """A 128-bit seed from the names of a stream; the same on every machine and in every process."""
    text = json.dumps(names, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def stream(*names: str | int | None) -> np.random.Generator:
    """The random generator of the stream with these names."""
    return np.random.Generator(np.random.PCG64(stream_seed(*names)))
