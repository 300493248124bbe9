"""Generated defects, and generated normals beside them, as training data of one segmenter.

AnomalyHybrid 4.3, Table 2: a UNet trained on generated defects and train/good (row AnoHybrid), and with the
generator's normal images beside train/good (AnoHybrid+). Table 4, on data with depth: the same from colour,
from depth, and the mean of both answers. The row of the real third is no row of the paper; it is what gains
are counted from.
"""

from collections.abc import Iterator
from pathlib import Path

from bench.planning.config import PlanConfig, Skipped
from bench.tasks import Task
from protocols import scored_cells
from protocols.seed_data import prepare

SPEC = Path(__file__).with_suffix(".toml")
PINNED = Path(__file__).parent / "splits" / "mvtec_ad.toml"


def plan(config: PlanConfig) -> Iterator[Task | Skipped]:
    """Every score of the protocol, and every cell that cannot be, with the reason."""
    for seed in config.seeds:
        ground = prepare(config, seed)
        yield from scored_cells.duplicates(ground)
        for generator in config.generators:
            yield from scored_cells.generation(ground, generator)
        for detector in config.detectors:
            for row in scored_cells.rows(
                config, detector, ["real"], ["generated", "generated+generated-normal"]
            ):
                yield from scored_cells.detection(ground, detector, row)
