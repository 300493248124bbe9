"""Stages that ask of generated images what the papers do not measure: are they copies, do the masks fit?"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.metrics import UndefinedMetricError
from bench.metrics.copies import nearest_real
from bench.metrics.mask_agreement import mask_agreement
from bench.planning.config import CategoryPlan, PlanConfig
from bench.stages.data import RealPools
from bench.stages.features import IMPORTS, feature_params, networks_of
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task

_PAIRS = 4
"""Closest pairs of each type that are stored, to be looked at."""
_UNTYPED = ("any",)


@dataclass(frozen=True)
class NearestImages(Stage[T]):
    """nearest.json: for each defect type, how near its images come to the training and to the test defects.

    Images of no known type are compared with the defects of all types.
    """

    name, version = "generation.nearest", 2
    imports = IMPORTS
    gpu = True
    generated: T
    base: T
    test: T

    @staticmethod
    def task(config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task) -> Task:
        stage = NearestImages(generated=generated, base=real.base, test=real.test)
        return stage.to_task(feature_params(config, category))

    def run(self: "NearestImages[Output]", run: StageRun) -> None:
        generated, base, test = (open_pool(pool.folder) for pool in (self.generated, self.base, self.test))
        networks = networks_of(run)
        types = [defect for defect in dict.fromkeys(generated.defects) if defect != "good"]
        results: dict[str, dict[str, Any]] = {}
        for done, defect in enumerate(types):
            images = generated.rows(defect)
            train_rows, test_rows = _rows(base, defect), _rows(test, defect)
            try:
                result = nearest_real(
                    np.asarray(generated.images[images]),
                    np.asarray(base.images[train_rows]),
                    np.asarray(test.images[test_rows]),
                    profile=networks,
                )
            except UndefinedMetricError as error:
                results[defect] = {"undefined": str(error)}
                continue
            rows = {"train": train_rows, "test": test_rows}
            results[defect] = {
                "copies": result.copies,
                "leaks": result.leaks,
                "nearer_to_test": result.nearer_to_test,
                "copy_distance": result.copy_distance,
                "real_images": result.real_images,
                "images": len(images),
                "pairs": [
                    {
                        "generated": images[image],
                        "side": side,
                        "real": rows[side][index],
                        "distance": distance,
                    }
                    for image, side, index, distance in result.closest(_PAIRS)
                ],
            }
            run.context.progress(done + 1, len(types))
        report = {"types": results, "weights_sha256": networks.weights_sha256}
        (run.out / "nearest.json").write_text(json.dumps(report, sort_keys=True))


@dataclass(frozen=True)
class MaskFit(Stage[T]):
    """agreement.json: for each defect type, how well the masks lie on what was changed.

    What was changed is seen against the generator's own base image where it gives one, else against the
    nearest normal image; the reference says which, since the two are not comparable.
    """

    name, version = "generation.agreement", 3
    imports = ("scipy.ndimage",)
    generated: T
    normal: T

    @staticmethod
    def task(category: CategoryPlan, real: RealPools, generated: Task) -> Task:
        stage = MaskFit(generated=generated, normal=real.normal)
        return stage.to_task({"category": category.name})

    def run(self: "MaskFit[Output]", run: StageRun) -> None:
        generated, normal = open_pool(self.generated.folder), open_pool(self.normal.folder)
        results: dict[str, dict[str, Any]] = {}
        for defect in dict.fromkeys(generated.defects):
            if defect == "good":
                continue
            rows = generated.rows(defect)
            masks = np.stack([generated.mask(row) for row in rows])
            if generated.base is not None:
                against = {"bases": np.asarray(generated.base[rows])}
            else:
                against = {"normals": np.asarray(normal.images)}
            try:
                result = mask_agreement(np.asarray(generated.images[rows]), masks, **against)
            except UndefinedMetricError as error:
                results[defect] = {"undefined": str(error)}
                continue
            results[defect] = {
                "score": result.score,
                "spill": result.spill,
                "boundary": result.boundary,
                "errors": result.errors,
                "images": result.images,
                "left_out": result.left_out,
            }
        bases = generated.base is not None
        reference = "the generator's own base image" if bases else "the nearest normal image"
        report = {"types": results, "reference": reference}
        (run.out / "agreement.json").write_text(json.dumps(report, sort_keys=True))


def _rows(pool: Pool, defect: str) -> list[int]:
    """Rows of a type; of all defects where the type is not known."""
    if defect in _UNTYPED:
        return [row for row, name in enumerate(pool.defects) if name != "good"]
    return pool.rows(defect)
