"""A fit: conditions where there are none yet, AnomalyHybrid, then AnomalyHybrid* where depth is wanted."""

from dataclasses import replace
from pathlib import Path

from bench.errors import BenchError
from bench.methods import TrainSplit
from bench.methods.context import Context
from generators.anomalyhybrid.batches import TrainingSet
from generators.anomalyhybrid.conditions import conditions_of, open_views, write_conditions
from generators.anomalyhybrid.params import SAMPLING, AnomalyHybridParams
from generators.anomalyhybrid.training import train


def fit(
    owner: str, params: AnomalyHybridParams, data: TrainSplit, out: Path, ctx: Context, *, star: bool
) -> None:
    """Write `params.json`, `rgb/` and, with `star`, `star/` into `out`.

    And `conditions/`, where the categories come without them.
    """
    (out / "params.json").write_text(params.model_dump_json(indent=1, exclude=set(SAMPLING)))
    views, used = [], []
    for category in data.categories.values():
        conditions = conditions_of(category, out)
        if category.derived is None:
            conditions.mkdir(parents=True)
            write_conditions(owner, params, category, conditions, replace(ctx, progress=_unsaid))
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


def _unsaid(done: int, total: int, note: str = "") -> None:
    """Progress is reported in training steps."""
