"""The conformance suite of detectors: what the harness relies on, each point checked on a small split.

Every check takes a `DetectorTrial` and raises `Nonconformance`, one sentence, where the detector breaks the
interface. `run_checks` runs all of them; `bench check detector` prints what it returns.
"""

from collections.abc import Hashable, Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from bench.conformance.blob_split import blob_split
from bench.conformance.checks import Check, Outputs, Result, need
from bench.conformance.shared_checks import (
    another_seed_differs,
    comes_to_the_same_in_less_memory,
    declares_facts,
    goes_on_after_an_interruption,
    leaves_global_randomness,
    same_seed_same_bytes,
    validates_parameters,
    works_in_a_fresh_process,
)
from bench.conformance.trial import Trial
from bench.methods import Batch, DetectorSplit, Prediction, batches
from bench.methods.context import Context
from bench.methods.splits import SHARES


class DetectorTrial(Trial[None]):
    """A detector under test. It has one part: fitted on the split, used on all test images."""

    kind, use_stage, output = "detector", "detector.predict", "predictions"

    def parts(self) -> list[None]:
        return [None]

    def category(self, part: None) -> str:
        return ""

    def model_of(self, part: None) -> Hashable:
        return ""

    @property
    def split(self) -> DetectorSplit:
        return blob_split(self.side, pseudo=0.25 if self.adapter.task == "anomaly" else 0.0)

    @cached_property
    def test_images(self) -> Batch:
        """Images that the split does not hold: uint8 [12, H, W, 3] with depth float32 [12, H, W]."""
        pools = blob_split(self.side, seed=1).real.values()
        parts = [batch for pool in pools for batch in batches(pool, len(pool))]
        depth = np.concatenate([part.depth for part in parts if part.depth is not None])
        return Batch(np.concatenate([part.images for part in parts]), depth=depth)

    def learn(self, part: None, out: Path, context: Context) -> None:
        self.configured().fit(self.split, out, context)

    def outputs(self, part: None, model: Path, context: Context) -> Outputs:
        return self.predictions(model, [range(len(self.test_images.images))], context)

    def predictions(self, model: Path, rows: Iterable[range], context: Context) -> Outputs:
        """What the model predicts for these rows of the test images, a batch for each range, joined."""
        test = self.test_images
        parts = [
            Batch(test.images[part], depth=None if test.depth is None else test.depth[part])
            for part in map(list, rows)
        ]
        predictions = list(self.configured().predict(model, iter(parts), context))
        need(len(predictions) == len(parts), f"{len(parts)} batches gave {len(predictions)} predictions")
        outputs = {}
        for name, values in zip(Prediction._fields, zip(*predictions, strict=True), strict=True):
            arrays = [array for array in values if array is not None]
            need(len(arrays) in (0, len(parts)), f"{name} is given for some batches only")
            if arrays:
                outputs[name] = np.concatenate(arrays)
        return outputs


def declares_itself(trial: DetectorTrial) -> None:
    """Name, version, task, modality and scope are there and known, and there is a preset `tiny`."""
    declares_facts(trial, ("dataset", "category"), ("fit", "predict"))
    cls = trial.adapter
    need(cls.task in ("segmentation", "classification", "anomaly"), f"task is {cls.task!r}")
    need(cls.modality in ("rgb", "depth"), f"modality is {cls.modality!r}")
    kinds = frozenset(cls.trains_on)
    need(kinds <= set(SHARES) and "normal" in kinds, f"trains_on is {sorted(kinds)}; use some of {SHARES}")


def predicts_what_its_task_says(trial: DetectorTrial) -> None:
    """Shapes, dtypes and finite values: logits of classifiers, a map or a score of the others."""
    outputs = trial.used(None)
    count, side = len(trial.test_images.images), trial.side
    shapes = {"score": (count,), "amap": (count, side, side), "logits": (count, len(trial.split.classes))}
    for name, values in outputs.items():
        need(values.dtype == np.float32, f"{name} is {values.dtype}, not float32")
        need(values.shape == shapes[name], f"{name} has shape {values.shape}, not {shapes[name]}")
        need(bool(np.isfinite(values).all()), f"{name} holds values that are not finite")
    if trial.adapter.task == "classification":
        need("logits" in outputs, "a classifier gave no logits")
    elif trial.adapter.task == "segmentation":
        need("amap" in outputs, "a segmenter gave no map")
    else:
        need("amap" in outputs or "score" in outputs, "neither a map nor a score is given")


def ignores_the_other_images(trial: DetectorTrial) -> None:
    """An image's prediction is the same in other batches and without the other images, up to rounding."""
    whole, model, count = trial.used(None), trial.fitted(None).model, len(trial.test_images.images)
    divisions = {
        "in batches of 1": [range(row, row + 1) for row in range(count)],
        "in batches of 5": [range(row, min(row + 5, count)) for row in range(0, count, 5)],
        "without the other images": [range(count // 2, count // 2 + 1)],
    }
    for division, rows in divisions.items():
        outputs = trial.predictions(model, rows, trial.use_context(None))
        need(outputs.keys() == whole.keys(), f"{division} other kinds of predictions are given")
        for name, values in outputs.items():
            expected = whole[name][[row for part in rows for row in part]]
            close = np.allclose(
                expected, values, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(expected).max()))
            )
            need(
                close,
                f"{name} {division} differs by {np.abs(expected - values).max():.2g} from one batch of all",
            )


CHECKS: tuple[Check[DetectorTrial], ...] = (
    declares_itself,
    validates_parameters,
    predicts_what_its_task_says,
    same_seed_same_bytes,
    another_seed_differs,
    ignores_the_other_images,
    goes_on_after_an_interruption,
    comes_to_the_same_in_less_memory,
    leaves_global_randomness,
    works_in_a_fresh_process,
)


def run_checks(trial: DetectorTrial) -> list[Result]:
    """All checks; skipped, with the reason, where the detector misses weights or packages."""
    return trial.results(CHECKS)
