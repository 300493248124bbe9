"""The pictures of a report: galleries, near pairs, anomaly maps."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from bench.planning.plan import Plan
from bench.record.labels import CellLabels
from bench.results.method_tasks import GENERATION_SCORES, pool_of
from bench.results.run import Gallery, Maps, NearPair
from bench.stages.copies_and_mask_fit import NearestImages
from bench.stages.score_detection import ScoreDetection
from bench.stages.score_generation import ScoreGeneration
from bench.store import Store

REAL = "real"
_PICTURES = 4
"""Pictures of one defect type in a gallery."""


class _Source(NamedTuple):
    """Where the images of a pool come from: a generator or `REAL`, for one kind of score and category."""

    generator: str
    stage: str
    category: str


def galleries(plan: Plan, store: Store) -> Iterator[Gallery]:
    """The first pictures of each real pool, and of the generated ones of a generator's lowest seed."""
    pools: dict[str, tuple[_Source, CellLabels]] = {}
    lowest: dict[_Source, int] = {}
    for _, score, labels in plan.scores(*GENERATION_SCORES):
        for features, generator in ((score.real, REAL), (score.generated, labels.generator_title)):
            pool = pool_of(plan, features)
            if pool not in pools and store.done(pool):
                source = _Source(generator, score.name, labels.category)
                pools[pool] = source, labels
                lowest[source] = min(labels.seed, lowest.get(source, labels.seed))
    for pool, (source, labels) in pools.items():
        if source.generator != REAL and labels.seed > lowest[source]:
            continue
        rows: dict[str, list[int]] = {}
        for row, item in enumerate(json.loads((store.out(pool) / "index.json").read_text())):
            rows.setdefault(item["defect"], []).append(row)
        for defect, all_rows in rows.items():
            pictures = tuple(all_rows[:_PICTURES])
            yield Gallery(labels.category, defect, source.generator, labels.seed, store.out(pool), pictures)


def near_pairs(plan: Plan, store: Store) -> Iterator[NearPair]:
    """The generated images that come nearest to real ones, by the scores that are done."""
    for key, score, labels in plan.scores(ScoreGeneration[str]):
        nearest = plan.read(score.nearest, NearestImages[str])
        report = store.out(score.nearest) / "nearest.json"
        if nearest is None or not store.done(key) or not report.exists():
            continue
        if not (store.done(score.nearest) or store.dropped(score.nearest)):
            continue
        sides = {"generated": nearest.generated, "train": nearest.base, "test": nearest.test}
        # `bench gc` may have taken the pictures
        pools = {side: store.out(pool) for side, pool in sides.items() if store.done(pool)}
        for defect, neighbours in json.loads(report.read_text())["types"].items():
            for pair in neighbours.get("pairs", ()):
                if not {"generated", pair["side"]} <= pools.keys():
                    continue
                yield NearPair(
                    labels.category,
                    defect,
                    labels.generator_title,
                    labels.seed,
                    pair["distance"],
                    neighbours.get("copy_distance", 0.0),
                    pair["side"] == "test",
                    (pools["generated"], pair["generated"]),
                    (pools[pair["side"]], pair["real"]),
                )


def maps(plan: Plan, store: Store) -> Iterator[Maps]:
    """The anomaly maps of every score whose prediction and test images are in the store."""
    for _, score, labels in plan.scores(ScoreDetection[str]):
        is_stored = store.done(score.test) and store.done(score.prediction)
        if is_stored and (store.out(score.prediction) / "amaps.npy").exists():
            yield Maps(
                labels.category,
                labels.detector_title,
                labels.generator_title,
                labels.mix,
                labels.seed,
                store.out(score.test),
                store.out(score.prediction),
            )
