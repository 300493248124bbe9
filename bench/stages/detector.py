"""Stages of detectors: fit on pools of normal, real and generated images, predict on the test images."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.data.pool import Pool, joined, open_pool
from bench.data.view import View
from bench.methods import Detector, DetectorSplit, Prediction, batches, registry
from bench.metrics import image_metrics, pixel_metrics
from bench.metrics.inputs import to_numpy
from bench.planning.config import PlanConfig, ResolvedMethod
from bench.stages.data import RealPools
from bench.stages.stage import BY_NAME, Output, Stage, StageRun, T
from bench.stages.stored_prediction import read_prediction
from bench.store.store import write_atomically
from bench.tasks import Task

_BATCH = 16


@dataclass(frozen=True)
class DetectorFit(Stage[T]):
    """A model of the categories of a task, trained on normals and what the mix names.

    Where the protocol chooses the checkpoint by a score, the trace of scores is in validation.json.
    """

    name, version = "detector.fit", 2
    gpu = True
    payload = "models"
    normal: Mapping[str, T] = field(metadata=BY_NAME)
    generated_normal: Mapping[str, T] = field(metadata=BY_NAME)
    real: Mapping[str, T] = field(metadata=BY_NAME)
    generated: Mapping[str, T] = field(metadata=BY_NAME)
    validation: Mapping[str, T] = field(metadata=BY_NAME)

    @staticmethod
    def task(
        config: PlanConfig,
        detector: ResolvedMethod,
        mix_name: str,
        pools: Mapping[str, RealPools],
        generated: Mapping[str, Task],
        generated_normals: Mapping[str, Task],
        classes: Iterable[tuple[str, str]],
        seed: int,
    ) -> Task:
        """Train a detector on the categories of `pools`.

        `generated` and `generated_normals` are category to the images of one generator.
        """
        mix = config.mixes[mix_name]
        oracle = config.selection == "test-oracle"
        stage = DetectorFit(
            normal={name: real.normal for name, real in pools.items()},
            generated_normal=_of(pools, generated_normals) if mix.generated_normals else {},
            real={name: real.base for name, real in pools.items()} if "real" in mix.shares else {},
            generated=_of(pools, generated) if "generated" in mix.shares else {},
            validation={name: real.test for name, real in pools.items()} if oracle else {},
        )
        params = {
            "params": dict(detector.params),
            "category": next(iter(pools)) if detector.scope == "category" else "",
            "classes": [list(pair) for pair in classes],
            "shares": dict(mix.shares) if detector.balanced else None,
            "resolution": config.side(detector, pools),
            "selection": config.selection,
        }
        return stage.to_task(params, detector.id, seed)

    def run(self: "DetectorFit[Output]", run: StageRun) -> None:
        params = run.params
        split = DetectorSplit(
            categories=tuple(self.normal),
            classes=tuple((category, defect) for category, defect in params["classes"]),
            resolution=params["resolution"],
            normal=_normals(_pools(self.normal), _pools(self.generated_normal), run.context.scratch),
            real=_pools(self.real),
            generated=_pools(self.generated),
            shares=params["shares"],
        )
        detector = _adapter(run)
        context = run.context
        if params["selection"] == "test-oracle":
            context = replace(context, validate=_Validation(run, detector, self.validation))
        detector.fit(split, run.out, context)


@dataclass(frozen=True)
class DetectorPredict(Stage[T]):
    """What a model predicts for every test image of a category: amaps.npy, scores.npy, logits.npy.

    Maps are of the size at which they are scored, over the whole image. Where the detector sees a part of it
    alone, the rest has the lowest value of all its maps of the category, so that it is never ranked above
    what was looked at.
    """

    name, version = "detector.predict", 1
    gpu = True
    payload = "predictions"
    model: T
    test: T

    @staticmethod
    def task(
        config: PlanConfig, detector: ResolvedMethod, model: Task, category: str, test: Task, seed: int
    ) -> Task:
        stage = DetectorPredict(model=model, test=test)
        view = config.view(detector, category)
        of_view = {} if view == config.frame else {**view.params, "frame": config.resolution}
        return stage.to_task({**model.params, "category": category, **of_view}, detector.id, seed)

    def run(self: "DetectorPredict[Output]", run: StageRun) -> None:
        test = open_pool(self.test.folder)
        lowest = _write_predictions(run, test, self.model.folder, run.out)
        if "frame" in run.params and (run.out / "amaps.npy").exists():
            _bring_to_frame(run.out / "amaps.npy", View.of(run.params), test, run.params["frame"], lowest)


def _bring_to_frame(path: Path, view: View, test: Pool, frame: int, lowest: float) -> None:
    """Write maps of a view anew as maps of whole images; `lowest` where the view does not reach."""
    cut = np.load(path, mmap_mode="r", allow_pickle=False)
    part = path.with_suffix(".part")
    placed = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(len(cut), frame, frame))
    for row, item in enumerate(test.items):
        width, height = item["size"]
        placed[row] = np.nan_to_num(view.in_frame(cut[row : row + 1], (height, width), frame)[0], nan=lowest)
    placed.flush()
    del cut, placed
    part.replace(path)


def _write_predictions(run: StageRun, test: Pool, model: Path, out: Path) -> float:
    """Write what a model predicts, in the view of its detector; returns the lowest value of its maps."""
    detector = _adapter(run)
    side = test.images.shape[1]
    maps, lowest = None, np.inf
    scores: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    done = 0
    for answer in detector.predict(model, batches(test, _BATCH), run.context):
        prediction = _as_float32(answer)
        size = _checked_size(prediction, side, run.adapter)
        if prediction.amap is not None:
            if maps is None:
                shape = (len(test), side, side)
                maps = np.lib.format.open_memmap(out / "amaps.npy", mode="w+", dtype=np.float32, shape=shape)
            maps[done : done + size] = prediction.amap
            lowest = min(lowest, float(prediction.amap.min()))
        if prediction.score is not None:
            scores.append(prediction.score)
        if prediction.logits is not None:
            logits.append(prediction.logits)
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
    return lowest


def _as_float32(prediction: Prediction) -> Prediction:
    """The prediction in float32, whatever a plug-in gives: half precision, float64, tensors.

    What float32 cannot hold becomes an infinity, which `_checked_size` refuses.
    """
    with np.errstate(over="ignore"):
        return Prediction(
            *(
                None if values is None else to_numpy(values, name).astype(np.float32, copy=False)
                for name, values in prediction._asdict().items()
            )
        )


def _checked_size(prediction: Prediction, side: int, name: str) -> int:
    arrays = [array for array in prediction if array is not None]
    if not arrays:
        raise RuntimeError(f"{name} gave a prediction with neither score, nor map, nor logits")
    if any(not np.isfinite(array).all() for array in arrays):
        raise RuntimeError(f"{name} predicted values that are not finite")
    if prediction.amap is not None and prediction.amap.shape[1:] != (side, side):
        raise RuntimeError(f"{name} gave maps of {prediction.amap.shape[1:]}, images are {(side, side)}")
    return len(arrays[0])


class _Validation:
    """The harness's own scorer for papers that choose a checkpoint on the test set.

    Score: image AUROC + pixel AUROC + pixel AP of what finds defects, accuracy of classifiers, mean over
    categories (AnomalyDiffusion adds PRO, which its UNet's choice rarely turns on, GLASS leaves AP out; the
    sum is named in the trace). Maps are judged in the detector's own view, as the papers' code does.
    """

    def __init__(self, run: StageRun, detector: Detector, tests: Mapping[str, Output]) -> None:
        self.run = run
        self.task = detector.task
        self.tests = tests
        self.folder = run.context.scratch / "validation"
        self.spill = run.context.scratch / "validation.json"
        self.trace: list[float] = json.loads(self.spill.read_text())["scores"] if self.spill.exists() else []

    def __call__(self, model: Path) -> float:
        self.folder.mkdir(exist_ok=True)
        scores = [self._score(name, open_pool(test.folder), model) for name, test in self.tests.items()]
        self.trace.append(float(np.mean(scores)))
        rule = "accuracy" if self.task == "classification" else "image AUROC + pixel AUROC + pixel AP"
        report = {"selection": "test-oracle", "rule": rule, "scores": self.trace}
        for path in (self.spill, self.run.out / "validation.json"):
            write_atomically(path, json.dumps(report))
        return self.trace[-1]

    def _score(self, category: str, test: Pool, model: Path) -> float:
        _write_predictions(self.run, test, model, self.folder)
        anomalous = np.array([defect != "good" for defect in test.defects])
        if self.task == "classification":
            classes = [tuple(pair) for pair in self.run.params["classes"]]
            truth = [classes.index((category, defect)) for defect in test.defects if defect != "good"]
            predictions = np.load(self.folder / "logits.npy")[anomalous].argmax(axis=1)
            return float(np.mean(predictions == np.array(truth)))
        maps, scores, _ = read_prediction(self.folder)
        assert maps is not None
        image = image_metrics(scores, anomalous)
        pixel = pixel_metrics(maps, np.stack([test.mask(row) for row in range(len(test))]))
        return float(image["auroc"] + pixel["auroc"] + pixel["ap"])


def _of(pools: Mapping[str, RealPools], generated: Mapping[str, Task]) -> dict[str, Task]:
    """The generated images of the categories of `pools` that have any."""
    return {name: generated[name] for name in pools if name in generated}


def _pools(inputs: Mapping[str, Output]) -> dict[str, Pool]:
    return {name: open_pool(pool.folder) for name, pool in inputs.items()}


def _normals(real: Mapping[str, Pool], generated: Mapping[str, Pool], scratch: Path) -> dict[str, Pool]:
    """The normal images of each category; where a generator made some too, both as one pool."""
    return {
        name: joined([pool, generated[name]], scratch / f"normals-{number}") if name in generated else pool
        for number, (name, pool) in enumerate(real.items())
    }


def _adapter(run: StageRun) -> Detector:
    adapter = registry.load("detector", run.adapter)
    return adapter(adapter.Params(**run.params["params"]))
