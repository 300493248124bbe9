"""A stage of real data: the masks of test images under the mask rules of repositories."""

from dataclasses import dataclass

import numpy as np

from bench.data.images import decode_mask_values
from bench.files import file_bytes
from bench.metrics import MASK_DIALECTS, prepare_masks
from bench.metrics.masks import RECORDED_MASK_RULES
from bench.stages.data import listed_files, require_content
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task

MASK_RULES = RECORDED_MASK_RULES
"""The default masks are in the pool of the test images."""


@dataclass(frozen=True)
class DataTruth(Stage[T]):
    """The masks of a part under each rule: `<rule>.npy` bool [N, size, size]."""

    name, version = "data.truth", 3
    imports = ("bench.metrics", "bench.data.images")

    @staticmethod
    def task(test: Task) -> Task:
        """The masks of the images of a pool of real data."""
        part = {name: test.params[name] for name in ("category", "part", "content", "resolution")}
        return DataTruth[Task]().to_task(part)

    def run(self: "DataTruth[Output]", run: StageRun) -> None:
        size = run.params["resolution"]
        rows = listed_files(run)
        masks_by_rule = {
            rule: np.lib.format.open_memmap(
                run.out / f"{rule}.npy", mode="w+", dtype=np.bool_, shape=(len(rows), size, size)
            )
            for rule in MASK_RULES
        }
        for number, (item, defect) in enumerate(rows):
            if defect == "good" or item.mask_path is None:
                continue
            raw = decode_mask_values(file_bytes(item.mask_path), item.mask_path)
            for rule, masks in masks_by_rule.items():
                filter_, threshold = MASK_DIALECTS[rule]
                masks[number] = prepare_masks(raw, size, filter=filter_, rule=threshold)
        require_content(run, rows)
        for masks in masks_by_rule.values():
            masks.flush()
