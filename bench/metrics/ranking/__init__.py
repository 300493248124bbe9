"""The engine behind AUROC, AP, F1, IoU and AUPRO: counts of positives and negatives at every threshold.

It exists for size: a category of whole images has 10^8 pixels, which scikit-learn sorts for minutes. Only the
positives (1 to 5 % of the pixels) are sorted here, and the negatives are counted between them. `tally_of`
decides who counts: numba for float32 maps from COMPILED_FROM pixels on, numpy alone below, where loading the
compiled loops (seconds, and 16 s to compile them on a fresh machine) costs more than counting, unless they
are loaded already; a sort for float64. All give the same integers (tests/metrics/test_compiled_path.py).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib import import_module

import numpy as np

from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.tally_maps import MapTally, tally_float64

__all__ = ["COMPILED_FROM", "MapTally", "numba_is_there", "tally_of"]

COMPILED_FROM = 1 << 23
"""Pixels from which the compiled loops are worth the time that loading them takes."""
_COMPILED, _PLAIN = "bench.metrics.ranking.kernels_numba", "bench.metrics.ranking.kernels_numpy"


def tally_of(chunks: MapChunks, *, per_image: bool = True, compiled: bool | None = None) -> MapTally:
    """Counts of all maps, and unless `per_image` is false the best IoU of each anomalous image.

    compiled: whether numba counts, which is for float32 maps only; None: where it pays. A stream of unknown
    length is taken for a long one. Raises UndefinedMetricError where the masks hold one class only.
    """
    if compiled is None:
        pays = _is_large(chunks) or _COMPILED in sys.modules
        compiled = chunks.dtype == np.float32 and pays and numba_is_there()
    if not compiled and chunks.dtype == np.float64:
        return tally_float64(chunks, per_image)
    from bench.metrics.ranking.count_float32 import tally_float32

    kernels = import_module(_COMPILED if compiled else _PLAIN)
    return MapTally(*tally_float32(chunks, per_image, kernels))


def numba_is_there() -> bool:
    """Whether numba is installed and not switched off by DEFECTBENCH_NUMBA=0."""
    return os.environ.get("DEFECTBENCH_NUMBA", "1") != "0" and importlib.util.find_spec("numba") is not None


def _is_large(chunks: MapChunks) -> bool:
    return not chunks.pixels or chunks.pixels >= COMPILED_FROM
