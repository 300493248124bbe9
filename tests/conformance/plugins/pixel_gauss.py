"""An honest detector without randomness and steps: mean and deviation of each pixel, in closed form."""

import numpy as np
from pydantic import Field

from bench.methods import Detector, Params, Prediction


class PixelGaussParams(Params):
    floor: float = Field(4.0, gt=0, description="smallest standard deviation of a pixel, in grey values")


class PixelGauss(Detector):
    """Anomaly of a pixel: its distance from the mean of the normal images, in standard deviations."""

    name, version, task, modality, scope = "pixel_gauss", 1, "anomaly", "rgb", "category"
    trains_on = frozenset({"normal"})
    Params = PixelGaussParams
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        grey = np.concatenate([pool.images for pool in data.normal.values()]).mean(axis=3)  # (B, H, W)
        np.save(out / "mean.npy", grey.mean(axis=0))
        np.save(out / "deviation.npy", np.maximum(grey.std(axis=0), self.params.floor))

    def predict(self, model, images, ctx):
        mean, deviation = np.load(model / "mean.npy"), np.load(model / "deviation.npy")
        for batch in images:
            distance = np.abs(batch.images.mean(axis=3) - mean) / deviation
            yield Prediction(amap=distance.astype(np.float32))
