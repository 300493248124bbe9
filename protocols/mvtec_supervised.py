"""Generated defects as training data of supervised detectors.

The base third of each defect type makes the generators; a detector is trained on normal images and on the
real third alone, on generated defects alone (SeaS 4.2), or on both (the released code of LFD), with equal
normals and equal training steps; it is tested on the rest of each type and on test/good.
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
            for row in scored_cells.rows(config, detector, ["real"], ["generated", "generated+real"]):
                yield from scored_cells.detection(ground, detector, row)
