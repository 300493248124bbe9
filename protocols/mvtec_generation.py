"""How generated defects look, and whether a classifier trained on them names real ones.

AnomalyHybrid 4.3, Tables 1, 5 and 7: IS, IC-LPIPS and the accuracy of a ResNet34 trained on generated images
alone. The row of the real third is no row of the paper; it is what the classifier gains are counted from.
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
            for row in scored_cells.rows(config, detector, ["real"], ["generated"]):
                yield from scored_cells.detection(ground, detector, row)
