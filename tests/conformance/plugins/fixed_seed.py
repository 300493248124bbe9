"""A detector that breaks the rule on seeds: its random numbers do not come from ctx."""

import numpy as np

from bench.methods import Detector, Prediction


class FixedSeed(Detector):
    """Compares with a random normal image, which is the same for every seed."""

    name, version, task, modality, scope = "fixed_seed", 1, "anomaly", "rgb", "category"
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        pool = next(iter(data.normal.values()))
        row = np.random.default_rng(0).integers(len(pool))
        np.save(out / "image.npy", pool.images[row])

    def predict(self, model, images, ctx):
        image = np.load(model / "image.npy").mean(axis=2)
        for batch in images:
            yield Prediction(amap=np.abs(batch.images.mean(axis=3) - image).astype(np.float32))
