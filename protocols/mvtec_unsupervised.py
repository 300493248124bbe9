"""Generated normal images beside real ones, for detectors that learn from normal images alone.

SeaS 4.2, Table 3: the generated normals supplement train/good. The gain is counted from the same detector
fitted on train/good alone; generators that make no normal images are left out, with that reason.
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
            yield from scored_cells.generated_normals(ground, generator)
        for detector in config.detectors:
            for row in scored_cells.rows(config, detector, ["normal"], ["normal+generated"]):
                yield from scored_cells.detection(ground, detector, row)
