"""A fit: conditions of all images, then AnomalyHybrid, then AnomalyHybrid* where depth is wanted."""

from pathlib import Path

from bench.adapters import TrainSplit
from bench.context import Context
from bench.errors import BenchError
from generators.anomalyhybrid.batches import TrainingSet
from generators.anomalyhybrid.conditions import open_views, write_conditions
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.training import train


def fit(
    owner: str, params: AnomalyHybridParams, data: TrainSplit, out: Path, ctx: Context, *, star: bool
) -> None:
    """Write `params.json`, `conditions/`, `rgb/` and, with `star`, `star/` into `out`."""
    (out / "params.json").write_text(params.model_dump_json(indent=1))
    conditions = out / "conditions"
    write_conditions(owner, params, data, conditions, ctx)
    views, used = [], []
    for category in data.categories.values():
        views.append(open_views(category, conditions))
        used.append([row for reals in category.anomalies.values() for row in reals.indices])
    training = TrainingSet.of(views, used)
    if not len(training):
        raise BenchError(f"'{owner}' has no image to learn from ({', '.join(sorted(data.categories))})")
    kinds = (False, True) if star else (False,)
    for part, depth_level in enumerate(kinds):
        train(
            owner,
            params,
            training,
            out / ("star" if depth_level else "rgb"),
            ctx,
            star=depth_level,
            counted=(part, len(kinds)),
        )
