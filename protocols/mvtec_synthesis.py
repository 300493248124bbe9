"""Generated defects in the place of a detector's own synthesis.

DRAEM and GLASS make their anomalies themselves; a generator's take their place (SeaS 4.2, Table 2) or stand
beside them (AnoGen), and so do the real ones that the generators learned from (SeaS, Table 28). All rows of a
detector are trained alike, with equal normals; the papers' baselines are official checkpoints.
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
                config, detector, ["pseudo", "real", "pseudo+real"], ["generated", "pseudo+generated"]
            ):
                yield from scored_cells.detection(ground, detector, row)
