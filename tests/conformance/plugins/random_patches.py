"""An honest detector with randomness, a checkpoint after each step, and one deliberate fault by parameter."""

import json

import numpy as np
from pydantic import Field

from bench.methods import Detector, Params, Prediction

STEPS = 4
REMEMBERED = {}


class RandomPatchesParams(Params):
    fault: str = Field("none", description="what to do wrong")


class RandomPatches(Detector):
    """Finds what is brighter or darker than the mean of training images that it draws at random."""

    name, version, task, modality, scope = "random_patches", 1, "segmentation", "rgb", "dataset"
    frugal = frozenset({"fit"})
    Params = RandomPatchesParams
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        fault, checkpoint = self.params.fault, ctx.scratch / "means.json"
        means = json.loads(checkpoint.read_text()) if checkpoint.exists() and fault != "forgets" else []
        for step in range(len(means), STEPS):
            means.append(float(data.draw(ctx.rng("batch", step), 4).images.mean()))
            if fault == "repeats a step" and checkpoint.exists():
                means.append(0.0)
            checkpoint.write_text(json.dumps(means))
            self._report(ctx, step + 1)
        if fault == "ignores its streams" or (fault == "less memory" and ctx.frugal):
            means = [100.0]
        if fault == "global randomness":
            np.random.rand()  # noqa: NPY002 - the fault
        if fault == "own generator":
            means = [float(np.random.default_rng(0).integers(90, 110))]
        REMEMBERED["mean"] = float(np.mean(means))
        model = {"mean": float(np.mean(means)), "path": str(out) if fault == "path in the model" else ""}
        (out / "model.json").write_text(json.dumps(model))

    def _report(self, ctx, step):
        try:
            if self.params.fault != "hides its steps":
                ctx.progress(step, STEPS)
        except Exception:
            if self.params.fault != "swallows interruptions":
                raise

    def predict(self, model, images, ctx):
        fault = self.params.fault
        mean = json.loads((model / "model.json").read_text())["mean"]
        if fault == "keeps the model in memory":
            mean = REMEMBERED["mean"]
        if fault == "peeks at all test images":
            images = list(images)
            mean = float(np.concatenate([batch.images for batch in images]).mean())
        for batch in images:
            if fault == "peeks at its batch":
                mean = float(batch.images.mean())
            if fault == "crashes":
                {"depth": batch.depth}["x"]  # the line of the crash
            amap = np.abs(batch.images.mean(axis=3) - mean).astype(np.float32) / 255
            if fault == "float64":
                amap = amap.astype(np.float64)
            if fault == "half size":
                amap = amap[:, ::2, ::2]
            if fault == "infinite":
                amap = amap + np.float32(np.inf)
            yield Prediction(score=amap.max(axis=(1, 2))) if fault == "no map" else Prediction(amap=amap)
