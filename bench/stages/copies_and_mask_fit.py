"""Stages that ask of generated images what the papers do not measure: are they copies, do the masks fit?"""

import json
from typing import Any

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.features import profile
from bench.metrics import UndefinedMetricError
from bench.metrics.copies import nearest_real
from bench.metrics.mask_agreement import mask_agreement
from bench.stages import StageRun

_PAIRS = 4
"""Closest pairs that are kept a type, to be looked at."""
_UNTYPED = ("any",)


def nearest(run: StageRun) -> None:
    """nearest.json: for each defect type, how near its images come to the training and to the test defects.

    Images of no known type are compared with the defects of all types.
    """
    generated, base, test = (open_pool(run.inputs.one(role)) for role in ("generated", "base", "test"))
    networks = profile(run.params["features"], run.context.weights, run.context.device)
    types = [defect for defect in dict.fromkeys(generated.defects) if defect != "good"]
    found: dict[str, dict[str, Any]] = {}
    for done, defect in enumerate(types):
        made = generated.rows(defect)
        train_rows, test_rows = _rows(base, defect), _rows(test, defect)
        try:
            result = nearest_real(
                np.asarray(generated.images[made]),
                np.asarray(base.images[train_rows]),
                np.asarray(test.images[test_rows]),
                profile=networks,
            )
        except UndefinedMetricError as error:
            found[defect] = {"undefined": str(error)}
            continue
        rows = {"train": train_rows, "test": test_rows}
        found[defect] = {
            "copies": result.copies,
            "leaks": result.leaks,
            "nearer_to_test": result.nearer_to_test,
            "copy_distance": result.copy_distance,
            "images": len(made),
            "pairs": [
                {"generated": made[image], "side": side, "real": rows[side][index], "distance": distance}
                for image, side, index, distance in result.closest(_PAIRS)
            ],
        }
        run.context.progress(done + 1, len(types))
    told = {"types": found, "weights_sha256": networks.weights_sha256}
    (run.out / "nearest.json").write_text(json.dumps(told, sort_keys=True))


def agreement(run: StageRun) -> None:
    """agreement.json: for each defect type, how well the masks lie on what was changed.

    What was changed is seen against the generator's own base image where it gives one, else against the
    nearest normal image; the two are told apart, since they are not comparable.
    """
    generated, normal = open_pool(run.inputs.one("generated")), open_pool(run.inputs.one("normal"))
    found: dict[str, dict[str, Any]] = {}
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
            found[defect] = {"undefined": str(error)}
            continue
        found[defect] = {
            "score": result.score,
            "spill": result.spill,
            "boundary": result.boundary,
            "errors": result.errors,
            "images": result.images,
            "left_out": result.left_out,
        }
    reference = "the generator's own base image" if generated.base is not None else "the nearest normal image"
    told = {"types": found, "reference": reference}
    (run.out / "agreement.json").write_text(json.dumps(told, sort_keys=True))


def _rows(pool: Pool, defect: str) -> list[int]:
    """Rows of a type; of all defects where the type is not known."""
    if defect in _UNTYPED:
        return [row for row, name in enumerate(pool.defects) if name != "good"]
    return pool.rows(defect)
