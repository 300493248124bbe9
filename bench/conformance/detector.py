"""The conformance suite of detectors: what the harness relies on, each point checked on a small split.

Every check takes a `DetectorTrial` and raises `Nonconformance`, one sentence, where the detector breaks the
interface. `run_checks` runs all of them; `bench check detector` prints what it returns.
"""

import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.conformance.checks import (
    Nonconformance,
    Result,
    contents,
    need,
    randomness,
    run_all,
)
from bench.data.pool import Pool
from bench.errors import BenchError
from bench.methods import Batch, Detector, DetectorSplit, Params, Prediction, batches
from bench.methods.context import Context
from bench.methods.splits import SHARES

CATEGORIES = {"disc": ("bright", "dark"), "stripe": ("bright", "line")}
_IMAGES = 6
HEAVY = ("torch", "mmseg", "segmentation_models_pytorch", "timm", "torchvision")
_PREDICT = """
import importlib, importlib.util, json, sys
from pathlib import Path
told = json.loads(sys.argv[1])
sys.path[:0] = told["paths"]
try:
    module = importlib.import_module(told["module"])
    getattr(module, told["name"])
except (ImportError, AttributeError):  # a file that was loaded by path
    spec = importlib.util.spec_from_file_location("subject", told["file"])
    module = importlib.util.module_from_spec(spec)
    sys.modules["subject"] = module
    spec.loader.exec_module(module)
heavy = sorted(set(told["heavy"]) & set(sys.modules))
import numpy as np
from bench.methods import Batch
from bench.methods.context import Context
cls = getattr(module, told["name"])
detector = cls(cls.Params(**told["params"]))
ctx = Context(0, "detector.predict", cls.name, "", told["device"], Path(told["scratch"]))
if told["threads"]:
    import torch
    torch.set_num_threads(told["threads"])
test = np.load(told["test"])
[said] = detector.predict(Path(told["model"]), [Batch(test["images"], depth=test["depth"])], ctx)
np.savez(told["out"], **{k: v for k, v in said._asdict().items() if v is not None})
print("HEAVY", *heavy)
"""


class Interrupted(Exception):
    """What the suite raises from `ctx.progress`, in the place of a kill."""


@dataclass
class DetectorTrial:
    """A detector under test: `folder` is for the suite's own files, `weights` for local weight files."""

    detector: type[Detector]
    folder: Path
    preset: str = "tiny"
    overrides: Mapping[str, Any] | None = None
    weights: Path | None = None
    device: str = "cpu"
    resolution: int = 64
    _models: dict[int, Path] = field(default_factory=dict)

    @property
    def split(self) -> DetectorSplit:
        return blob_split(self.resolution, pseudo=0.25 if self.detector.task == "anomaly" else 0.0)

    def configured(self) -> Detector:
        return self.detector.configure(self.preset, self.overrides)

    def context(self, seed: int = 0, stage: str = "detector.fit") -> Context:
        """A context with an empty scratch folder."""
        scratch = self._new_folder("scratch")
        return Context(seed, stage, self.detector.name, "", self.device, scratch, self.weights)

    def _new_folder(self, kind: str) -> Path:
        (self.folder / kind).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.folder / kind))

    def fit(self, context: Context) -> Path:
        """A new model folder."""
        out = self._new_folder("models")
        self.configured().fit(self.split, out, context)
        return out

    def fitted(self, seed: int = 0) -> Path:
        """The model of this seed, fitted once."""
        if seed not in self._models:
            self._models[seed] = self.fit(self.context(seed))
        return self._models[seed]

    def test_images(self) -> Batch:
        """Images that the split does not hold: uint8 [12, H, W, 3] with depth float32 [12, H, W]."""
        pools = blob_split(self.resolution, seed=1).real.values()
        parts = [batch for pool in pools for batch in batches(pool, len(pool))]
        depth = np.concatenate([part.depth for part in parts if part.depth is not None])
        return Batch(np.concatenate([part.images for part in parts]), depth=depth)

    def predictions(self, model: Path, size: int | None = None) -> Prediction:
        """What the model says of the test images, given in batches of `size`, joined."""
        test = self.test_images()
        step = size or len(test.images)
        parts = []
        for start in range(0, len(test.images), step):
            rows = slice(start, start + step)
            parts.append(Batch(test.images[rows], depth=None if test.depth is None else test.depth[rows]))
        said = list(self.configured().predict(model, iter(parts), self.context(stage="detector.predict")))
        need(len(said) == len(parts), f"{len(parts)} batches gave {len(said)} predictions")
        return Prediction(*(_joined(column) for column in zip(*said, strict=True)))


def blob_split(resolution: int, seed: int = 0, pseudo: float = 0.0) -> DetectorSplit:
    """Two categories of plain shapes with blobs as defects: 6 normals a category, 3 reals and 3 generated a
    defect type, RGB and depth; half normals, the other half shared between real and generated after the
    share that the detector makes itself."""
    rng = np.random.Generator(np.random.PCG64([seed, resolution]))
    pools: dict[str, dict[str, Pool]] = {"normal": {}, "real": {}, "generated": {}}
    for category, defects in CATEGORIES.items():
        pools["normal"][category] = _pool(rng, category, ("good",) * _IMAGES, resolution)
        for name in ("real", "generated"):
            pools[name][category] = _pool(
                rng, category, tuple(d for d in defects for _ in range(3)), resolution
            )
    classes = tuple(
        sorted((category, defect) for category, defects in CATEGORIES.items() for defect in defects)
    )
    each = (0.5 - pseudo) / 2
    shares = {"normal": 0.5, "generated": each, "real": each, **({"pseudo": pseudo} if pseudo else {})}
    return DetectorSplit(
        tuple(CATEGORIES), classes, resolution, pools["normal"], pools["real"], pools["generated"], shares
    )


def _pool(rng: np.random.Generator, category: str, defects: tuple[str, ...], side: int) -> Pool:
    y, x = np.mgrid[:side, :side] / side
    images = np.empty((len(defects), side, side, 3), np.uint8)
    masks = np.zeros((len(defects), side, side), np.bool_)
    depth = np.empty((len(defects), side, side), np.float32)
    for row, defect in enumerate(defects):
        part = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.16 if category == "disc" else (x * 8).astype(int) % 2 == 0
        grey = np.where(part, 140.0, 70.0) + rng.normal(0, 6, (side, side))
        height = part.astype(np.float32)
        if defect != "good":
            cy, cx = rng.uniform(0.25, 0.75, size=2)
            reach = (abs(x - cx) < 0.3) & (abs(y - cy) < 0.04) if defect == "line" else None
            blob = (x - cx) ** 2 + (y - cy) ** 2 < rng.uniform(0.08, 0.14) ** 2 if reach is None else reach
            grey[blob] = 15 if defect == "dark" else 235
            height[blob] -= 0.5
            masks[row] = blob
        images[row] = np.clip(grey, 0, 255).astype(np.uint8)[..., None]
        depth[row] = height
    items = tuple({"defect": defect, "stem": f"{row:03}"} for row, defect in enumerate(defects))
    return Pool(images, None if set(defects) == {"good"} else masks, depth, None, items)


def declares_itself(trial: DetectorTrial) -> None:
    """Name, version, task, modality and scope are there and known, and there is a preset `tiny`."""
    cls = trial.detector
    need(isinstance(cls.name, str) and cls.name.strip() == cls.name != "", f"name is {cls.name!r}")
    need(isinstance(cls.version, int) and cls.version >= 1, f"version is {cls.version!r}; use 1, 2, ...")
    need(cls.task in ("segmentation", "classification", "anomaly"), f"task is {cls.task!r}")
    need(cls.modality in ("rgb", "depth"), f"modality is {cls.modality!r}")
    need(cls.scope in ("dataset", "category"), f"scope is {cls.scope!r}")
    kinds = frozenset(cls.trains_on)
    need(kinds <= set(SHARES) and "normal" in kinds, f"trains_on is {sorted(kinds)}; use some of {SHARES}")
    need("tiny" in cls.presets, "there is no preset 'tiny', which the checks run")


def validates_parameters(trial: DetectorTrial) -> None:
    """Parameters are typed, frozen and described, survive JSON; every preset is valid, unknown names are
    refused."""
    cls = trial.detector
    need(issubclass(cls.Params, Params), "Params is not a subclass of bench.methods.Params")
    for preset in (None, *cls.presets):
        params = cls.configure(preset).params
        again = cls.Params.model_validate_json(params.model_dump_json())
        need(again == params, f"the parameters of preset {preset!r} change when they are stored as JSON")
    nameless = [name for name, info in cls.Params.model_fields.items() if not info.description]
    need(not nameless, f"parameters without a description: {', '.join(nameless)}")
    need(bool(cls.Params.model_config.get("frozen")), "Params is not frozen")
    try:
        cls.configure(None, {"no_such_parameter": 1})
    except BenchError:
        return
    raise Nonconformance("an unknown parameter is accepted")


def predicts_what_its_task_says(trial: DetectorTrial) -> None:
    """Shapes, dtypes and finite values: logits of classifiers, a map or a score of the others."""
    said = trial.predictions(trial.fitted())
    count, side = len(trial.test_images().images), trial.resolution
    shapes = {"score": (count,), "amap": (count, side, side), "logits": (count, len(trial.split.classes))}
    for name, values in said._asdict().items():
        if values is None:
            continue
        need(values.dtype == np.float32, f"{name} is {values.dtype}, not float32")
        need(values.shape == shapes[name], f"{name} has shape {values.shape}, not {shapes[name]}")
        need(bool(np.isfinite(values).all()), f"{name} holds values that are not finite")
    if trial.detector.task == "classification":
        need(said.logits is not None, "a classifier gave no logits")
    else:
        need(said.amap is not None or said.score is not None, "neither a map nor a score is given")
        if trial.detector.task == "segmentation":
            need(said.amap is not None, "a segmenter gave no map")


def same_seed_same_bytes(trial: DetectorTrial) -> None:
    """Fitting again gives the same files, and predicting again the same values."""
    first, second = trial.fitted(), trial.fit(trial.context())
    differing = [name for name, content in contents(first).items() if contents(second).get(name) != content]
    need(not differing, f"two fits with one seed wrote other {', '.join(differing)}")
    need(
        contents(first).keys() == contents(second).keys(),
        "two fits with one seed wrote other files",
    )
    once, twice = trial.predictions(first), trial.predictions(first)
    need(_equal(once, twice), "predicting twice with one model gave other values")


def another_seed_differs(trial: DetectorTrial) -> None:
    """The seed matters."""
    one, other = trial.predictions(trial.fitted(0)), trial.predictions(trial.fitted(1))
    need(not _equal(one, other), "seeds 0 and 1 give the same predictions")


def ignores_the_batch_size(trial: DetectorTrial) -> None:
    """An image's prediction is the same alone and among others, up to the rounding of float32."""
    model = trial.fitted()
    whole = trial.predictions(model)
    for size in (1, 5):
        for name, a, b in zip(whole._fields, whole, trial.predictions(model, size), strict=True):
            if a is None or b is None:
                need(a is b, f"{name} is given in some batches and not in others")
                continue
            close = np.allclose(a, b, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(a).max())))
            need(close, f"{name} in batches of {size} differs by {np.abs(a - b).max():.2g} from one batch")


def goes_on_after_an_interruption(trial: DetectorTrial) -> None:
    """A fit that was interrupted, and run again with the same scratch folder, writes the same bytes."""
    steps: list[int] = []
    undisturbed = trial.fit(
        replace(trial.context(), progress=lambda done, total, note="": steps.append(done))
    )
    need(bool(steps), "fit never calls ctx.progress")
    stop = steps[len(steps) // 2]
    context = trial.context()

    def interrupt(done: int, total: int, note: str = "") -> None:
        if done >= stop:
            raise Interrupted

    try:
        trial.fit(replace(context, progress=interrupt))
    except Interrupted:
        pass
    else:
        raise Nonconformance("an exception that ctx.progress raises is swallowed")
    resumed = trial.fit(context)
    differing = [
        name for name, content in contents(undisturbed).items() if contents(resumed).get(name) != content
    ]
    need(not differing, f"after an interruption at step {stop} other bytes are in {', '.join(differing)}")


def comes_to_the_same_in_less_memory(trial: DetectorTrial) -> None:
    """What it says that it does in less memory (`frugal`) has the same bytes there."""
    says = trial.detector.frugal
    need(says <= {"fit", "predict"}, f"frugal is {sorted(says)}; use fit and predict")
    model, test = trial.fitted(), trial.test_images()
    if "fit" in says:
        less = trial.fit(replace(trial.context(), frugal=True))
        need(contents(less) == contents(model), "a fit in less memory wrote other files")
    if "predict" in says:
        context = replace(trial.context(stage="detector.predict"), frugal=True)
        (said,) = trial.configured().predict(model, [test], context)
        need(_equal(said, trial.predictions(model)), "predicting in less memory gave other values")


def leaves_global_randomness(trial: DetectorTrial) -> None:
    """Neither Python's, NumPy's nor torch's global generators are drawn from or seeded."""
    trial.fitted()  # imports first: libraries may draw when they are loaded
    before = randomness()
    trial.predictions(trial.fit(trial.context()))
    touched = [name for name, state in randomness().items() if name in before and before[name] != state]
    need(
        not touched,
        f"the global random state of {', '.join(touched)} changed; use ctx.rng or ctx.torch_stream",
    )


def predicts_anywhere_from_the_folder_alone(trial: DetectorTrial) -> None:
    """The model folder, copied elsewhere, predicts the same in a fresh process in another working folder, and
    the adapter's module is light: it loads no network library before fit or predict."""
    here, model = trial._new_folder("elsewhere"), trial.fitted()
    shutil.copytree(model, here / "model")
    test = trial.test_images()
    np.savez(here / "test.npz", images=test.images, depth=np.asarray(test.depth))
    said = trial.predictions(here / "model")
    ran = _run_elsewhere(trial, here)
    need(ran.returncode == 0, f"a fresh process cannot predict: {ran.stderr.strip().splitlines()[-1:]}")
    with np.load(here / "said.npz") as stored:
        for name, values in said._asdict().items():
            same = (name in stored) if values is not None else (name not in stored)
            # Another process may lay memory out otherwise, and pick another kernel.
            same = same and (values is None or np.allclose(values, stored[name], rtol=1e-4, atol=1e-5))
            need(same, f"{name} differs in a fresh process; keep all that predict needs in the model folder")
    heavy = next(line for line in ran.stdout.splitlines() if line.startswith("HEAVY"))[6:]
    need(not heavy, f"importing {trial.detector.__module__} loads {heavy}; import it inside fit and predict")


def _run_elsewhere(trial: DetectorTrial, here: Path) -> "subprocess.CompletedProcess[str]":
    cls = trial.detector
    torch = sys.modules.get("torch")
    told = {
        "paths": [path for path in sys.path if path],
        "file": inspect.getfile(cls),
        "module": cls.__module__,
        "name": cls.__qualname__,
        "params": trial.configured().params.model_dump(mode="json"),
        "device": trial.device,
        "threads": torch.get_num_threads() if torch else 0,
        "heavy": HEAVY,
        "model": str(here / "model"),
        "test": str(here / "test.npz"),
        "scratch": str(here),
        "out": str(here / "said.npz"),
    }
    return subprocess.run(
        [sys.executable, "-c", _PREDICT, json.dumps(told)],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        env=dict(os.environ),
    )


CHECKS: tuple[Callable[[DetectorTrial], None], ...] = (
    declares_itself,
    validates_parameters,
    predicts_what_its_task_says,
    same_seed_same_bytes,
    another_seed_differs,
    ignores_the_batch_size,
    goes_on_after_an_interruption,
    comes_to_the_same_in_less_memory,
    leaves_global_randomness,
    predicts_anywhere_from_the_folder_alone,
)


def run_checks(trial: DetectorTrial) -> list[Result]:
    """All checks; skipped, with the reason, where the detector misses weights or packages."""
    return run_all(CHECKS, trial, trial.configured().missing(trial.weights))


def _joined(parts: tuple[np.ndarray | None, ...]) -> np.ndarray | None:
    given = [part for part in parts if part is not None]
    need(len(given) in (0, len(parts)), "a score, map or logits are given for some batches only")
    return np.concatenate(given) if given else None


def _equal(a: Prediction, b: Prediction) -> bool:
    return all(x is y if x is None or y is None else np.array_equal(x, y) for x, y in zip(a, b, strict=True))
