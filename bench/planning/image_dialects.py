"""Which dialects of IC-LPIPS and KID are recorded beside the default, checked before any work."""

from collections.abc import Iterable

from bench.errors import BenchError, did_you_mean
from bench.record import catalogue

_OF_LPIPS = ("seas", "dfmgan")
"""Dialects of LPIPS alone: they give the network values out of its range, which other networks refuse."""


def image_dialects(metric: str, dialects: Iterable[str], features: str = "canonical") -> tuple[str, ...]:
    """The dialects of `ic_lpips` or `kid` that are asked for, the default first, each once.

    BenchError for one that the metric lacks, or that the features cannot give.
    """
    rules = catalogue.metrics()[metric].dialects
    names = tuple(dict.fromkeys(("default", *dialects)))
    for dialect in names:
        if dialect not in rules:
            raise BenchError(did_you_mean("dialect", dialect, rules, of=metric))
        if metric == "ic_lpips" and dialect in _OF_LPIPS and features != "canonical":
            raise BenchError(
                f"ic_lpips: the dialect '{dialect}' is of LPIPS, which the features '{features}' have not; "
                "add --features canonical, or leave the dialect out"
            )
    return names
