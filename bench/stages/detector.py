"""Stages of detectors: fit on pools of normal, real and generated images, predict on the test images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.data.pool import Pool, joined, open_pool
from bench.methods import Detector, DetectorSplit, Prediction, batches, registry
from bench.metrics import image_metrics, pixel_metrics
from bench.stages import StageRun
from bench.stages.predicted import predicted
from bench.store.store import write_atomically

_BATCH = 16


def fit(run: StageRun) -> None:
    """Train a detector; where the protocol chooses the checkpoint by a score, keep the trace of scores."""
    params = run.params
    split = DetectorSplit(
        categories=tuple(run.inputs.under("normal")),
        classes=tuple((category, defect) for category, defect in params["classes"]),
        resolution=params["resolution"],
        normal=_normals(run),
        real=_pools(run, "real"),
        generated=_pools(run, "generated"),
        shares=params["shares"],
    )
    detector = _adapter(run)
    context = run.context
    if params["selection"] == "test-oracle":
        context = replace(context, validate=_Validation(run, detector))
    detector.fit(split, run.out, context)


def predict(run: StageRun) -> None:
    """Write what the detector says of every test image: amaps.npy, scores.npy, logits.npy."""
    test = open_pool(run.inputs.one("test"))
    _write_predictions(run, test, run.inputs.one("model"), run.out)


def _write_predictions(run: StageRun, test: Pool, model: Path, out: Path) -> None:
    detector = _adapter(run)
    side = test.images.shape[1]
    maps = None
    scores: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    done = 0
    for prediction in detector.predict(model, batches(test, _BATCH), run.context):
        size = _checked_size(prediction, side, run.adapter)
        if prediction.amap is not None:
            if maps is None:
                shape = (len(test), side, side)
                maps = np.lib.format.open_memmap(out / "amaps.npy", mode="w+", dtype=np.float32, shape=shape)
            maps[done : done + size] = prediction.amap
        if prediction.score is not None:
            scores.append(prediction.score.astype(np.float32))
        if prediction.logits is not None:
            logits.append(prediction.logits.astype(np.float32))
        done += size
        run.context.progress(done, len(test))
    if done != len(test):
        raise RuntimeError(f"{run.adapter} gave predictions for {done} of {len(test)} images")
    if maps is not None:
        maps.flush()
    if scores:
        np.save(out / "scores.npy", np.concatenate(scores))
    if logits:
        np.save(out / "logits.npy", np.concatenate(logits))


def _checked_size(prediction: Prediction, side: int, name: str) -> int:
    given = [array for array in prediction if array is not None]
    if not given:
        raise RuntimeError(f"{name} gave a prediction with neither score, nor map, nor logits")
    if any(not np.isfinite(array).all() for array in given):
        raise RuntimeError(f"{name} predicted values that are not finite")
    if prediction.amap is not None and prediction.amap.shape[1:] != (side, side):
        raise RuntimeError(f"{name} gave maps of {prediction.amap.shape[1:]}, images are {(side, side)}")
    return len(given[0])


class _Validation:
    """The harness's own scorer for papers that choose a checkpoint on the test set.

    Score: image AUROC + pixel AUROC + pixel AP of what finds defects, accuracy of classifiers, mean over
    categories (AnomalyDiffusion adds PRO, which its UNet's choice rarely turns on, GLASS leaves AP out; the
    sum is named in the trace).
    """

    def __init__(self, run: StageRun, detector: Detector) -> None:
        self.run = run
        self.task = detector.task
        self.folder = run.context.scratch / "validation"
        self.kept = run.context.scratch / "validation.json"
        self.trace: list[float] = json.loads(self.kept.read_text())["scores"] if self.kept.exists() else []

    def __call__(self, model: Path) -> float:
        self.folder.mkdir(exist_ok=True)
        scores = [self._score(name, folder, model) for name, (folder,) in self._tests().items()]
        self.trace.append(float(np.mean(scores)))
        rule = "accuracy" if self.task == "classification" else "image AUROC + pixel AUROC + pixel AP"
        told = {"selection": "test-oracle", "rule": rule, "scores": self.trace}
        for path in (self.kept, self.run.out / "validation.json"):
            write_atomically(path, json.dumps(told))
        return self.trace[-1]

    def _tests(self) -> dict[str, list[Path]]:
        return self.run.inputs.under("validation")

    def _score(self, category: str, test_folder: Path, model: Path) -> float:
        test = open_pool(test_folder)
        _write_predictions(self.run, test, model, self.folder)
        anomalous = np.array([defect != "good" for defect in test.defects])
        if self.task == "classification":
            classes = [tuple(pair) for pair in self.run.params["classes"]]
            truth = [classes.index((category, defect)) for defect in test.defects if defect != "good"]
            said = np.load(self.folder / "logits.npy")[anomalous].argmax(axis=1)
            return float(np.mean(said == np.array(truth)))
        maps, scores, _ = predicted(self.folder)
        assert maps is not None
        image = image_metrics(scores, anomalous)
        pixel = pixel_metrics(maps, np.stack([test.mask(row) for row in range(len(test))]))
        return float(image["auroc"] + pixel["auroc"] + pixel["ap"])


def _pools(run: StageRun, role: str) -> dict[str, Pool]:
    return {name: open_pool(folder) for name, (folder,) in run.inputs.under(role).items()}


def _normals(run: StageRun) -> dict[str, Pool]:
    """The normal images of each category; where a generator made some too, both as one pool."""
    real, generated = _pools(run, "normal"), _pools(run, "generated-normal")
    return {
        name: joined([pool, generated[name]], run.context.scratch / f"normals-{place}")
        if name in generated
        else pool
        for place, (name, pool) in enumerate(real.items())
    }


def _adapter(run: StageRun) -> Detector:
    adapter = registry.load("detector", run.adapter)
    return adapter(adapter.Params(**run.params["params"]))
