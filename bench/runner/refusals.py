"""What a request names and no cell of its plan can have."""

from collections.abc import Sequence

from bench.planning.plan import Plan
from bench.planning.request import RunRequest
from bench.record.labels import NONE, CellLabels


def refused_by_name(plan: Plan, request: RunRequest) -> list[str]:
    """A sentence per method that was named and is in no cell, and per pair that was named and cannot be."""
    planned = [labels for key in plan.goals if (labels := plan.nodes[key].labels)]
    methods = _refused_methods(plan, planned, request)
    if request.generators is None or request.detectors is None:
        return list(methods.values())
    possible = {(labels.generator_title, labels.detector_title) for labels in planned}
    pairs = {}
    for cell in plan.skipped:
        pair = (cell.labels.generator_title, cell.labels.detector_title)
        if NONE not in pair and pair not in possible and not methods.keys() & set(pair):
            pairs[pair] = f"{pair[1]} with {pair[0]} was asked for by name and cannot be: {cell.reason}"
    return [*methods.values(), *pairs.values()]


def _refused_methods(plan: Plan, planned: Sequence[CellLabels], request: RunRequest) -> dict[str, str]:
    sentences: dict[str, str] = {}
    for kind, names in (("generator", request.generators), ("detector", request.detectors)):
        possible = {getattr(labels, f"{kind}_title") for labels in planned}
        reasons: dict[str, list[str]] = {}
        for cell in plan.skipped if names is not None else ():
            title = getattr(cell.labels, f"{kind}_title")
            if title != NONE and title not in possible:
                reasons.setdefault(title, []).append(cell.reason)
        for title, of_cells in reasons.items():
            sentences[title] = f"{title} was asked for by name and cannot be: {_own_reason(title, of_cells)}"
    return sentences


def _own_reason(title: str, reasons: Sequence[str]) -> str:
    """The reason that names the method; where none does, all that is in the way of its partners."""
    name = title.partition("[")[0]
    about_it = [reason for reason in reasons if name in reason]
    if about_it:
        return about_it[0]
    others = "; ".join(dict.fromkeys(reasons))
    return f"nothing is left to make with it ({others})"
