"""The one plan: a protocol's file says what is scored and which rows are trained; this yields the tasks."""

from collections.abc import Iterator

from bench.planning.config import PlanConfig, Skipped
from bench.tasks import Task
from protocols import scored_cells
from protocols.seed_data import seed_data


def plan(config: PlanConfig) -> Iterator[Task | Skipped]:
    """Every score of the protocol, and every cell that cannot be, with the reason."""
    for seed in config.seeds:
        data = seed_data(config, seed)
        if "near-duplicates" in config.score:
            yield from scored_cells.duplicates(data)
        for generator in config.generators:
            if "anomalies" in config.score:
                yield from scored_cells.generated_anomalies(data, generator)
            if "normals" in config.score:
                yield from scored_cells.generated_normals(data, generator)
        for detector in config.detectors:
            for row in scored_cells.rows(config, detector):
                yield from scored_cells.detection(data, detector, row)
