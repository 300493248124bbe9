"""What a request names and no cell of its plan can have."""

from bench.planning.plan import Plan
from bench.planning.request import RunRequest


def refused_by_name(plan: Plan, request: RunRequest) -> list[str]:
    """A sentence per method that was named and is in no cell, and per pair that was named and cannot be."""
    methods = _refused_methods(plan, request)
    if request.generators is None or request.detectors is None:
        return list(methods.values())
    possible = {
        (node.labels.get("generator"), node.labels.get("detector"))
        for node in (plan.nodes[key] for key in plan.goals)
    }
    pairs = {}
    for cell in plan.skipped:
        pair = (cell.labels.get("generator"), cell.labels.get("detector"))
        if all(pair) and pair not in possible and not methods.keys() & set(pair):
            pairs[pair] = f"{pair[1]} with {pair[0]} was asked for by name and cannot be: {cell.reason}"
    return [*methods.values(), *pairs.values()]


def _refused_methods(plan: Plan, request: RunRequest) -> dict[str, str]:
    sentences: dict[str, str] = {}
    for kind, names in (("generator", request.generators), ("detector", request.detectors)):
        planned = {plan.nodes[key].labels.get(kind) for key in plan.goals}
        for cell in plan.skipped if names is not None else ():
            if (name := cell.labels.get(kind)) and name not in planned:
                sentences[name] = f"{name} was asked for by name and cannot be: {cell.reason}"
    return sentences
