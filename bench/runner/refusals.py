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
    possible = {(labels.generator, labels.detector) for labels in planned}
    pairs = {}
    for cell in plan.skipped:
        pair = (cell.labels.generator, cell.labels.detector)
        if NONE not in pair and pair not in possible and not methods.keys() & set(pair):
            pairs[pair] = f"{pair[1]} with {pair[0]} was asked for by name and cannot be: {cell.reason}"
    return [*methods.values(), *pairs.values()]


def _refused_methods(plan: Plan, planned: Sequence[CellLabels], request: RunRequest) -> dict[str, str]:
    sentences: dict[str, str] = {}
    for kind, names in (("generator", request.generators), ("detector", request.detectors)):
        possible = {getattr(labels, kind) for labels in planned}
        for cell in plan.skipped if names is not None else ():
            name = getattr(cell.labels, kind)
            if name != NONE and name not in possible:
                sentences[name] = f"{name} was asked for by name and cannot be: {cell.reason}"
    return sentences
