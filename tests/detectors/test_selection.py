"""The stage that trains a detector: who chooses the epoch, and by which scores."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.data.pool import Pool, PoolWriter
from bench.methods import DetectorSplit, registry
from bench.methods.context import Context
from bench.stages.detector import DetectorFit
from bench.stages.stage import Output, StageRun

PLUGIN = '''
import numpy as np
from bench.methods import Detector, Prediction

class Turns(Detector):
    """Its maps are the same in each epoch; its image scores are right in the second alone."""
    name, version, task, modality, scope = "turns", 1, "anomaly", "rgb", "category"
    trains_on = frozenset({"normal"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        assert not data.real and not data.generated
        for epoch in (1, 2, 3):
            (out / "epoch.txt").write_text(str(epoch))
            if ctx.validate(out) is None:
                return

    def predict(self, model, images, ctx):
        right = (model / "epoch.txt").read_text() == "2"
        for batch in images:
            off = np.abs(batch.images.astype(np.float32) - 128).mean(axis=3)
            score = (off > 60).mean(axis=(1, 2), dtype=np.float32)
            yield Prediction(score=score if right else -score, amap=off)
'''


def written(folder: Path, *pools: Pool) -> Path:
    folder.mkdir(parents=True)
    writer = PoolWriter(folder, sum(map(len, pools)), 64, fields=("masks",))
    for pool in pools:
        for row, item in enumerate(pool.items):
            writer.add(item, pool.images[row], masks=pool.mask(row))
    writer.close()
    return folder


@pytest.fixture
def model_of(blobs: DetectorSplit, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Fits `turns` on one category, with test images where the selection asks for them; returns the model."""
    (tmp_path / "turns.py").write_text(PLUGIN)
    registry.load_plugins([str(tmp_path / "turns.py")])
    normal, defective = blobs.normal["disc"], blobs.real["disc"]

    def fit(selection: str) -> Path:
        inputs = [("normal/disc", Output(written(tmp_path / "normal", normal), {}))]
        if selection == "test-oracle":
            inputs.append(("validation/disc", Output(written(tmp_path / "test", normal, defective), {})))
        for name in ("out", "scratch"):
            (tmp_path / name).mkdir()
        params = {"params": {}, "classes": [], "shares": None, "resolution": 64, "selection": selection}
        context = Context(0, "detector.fit", "turns", "disc", "cpu", tmp_path / "scratch")
        out = tmp_path / "out"
        DetectorFit.of(inputs).run(StageRun(params, "turns", tmp_path, out, context))
        return out

    yield fit
    registry._PLUGINS["detector"].pop("turns", None)


def test_nobody_scores_an_epoch_where_the_last_is_to_be_kept(model_of) -> None:
    model = model_of("last")
    assert (model / "epoch.txt").read_text() == "1"
    assert not (model / "validation.json").exists()


def test_a_test_oracle_goes_by_the_image_scores_that_the_detector_gives(model_of) -> None:
    report = json.loads((model_of("test-oracle") / "validation.json").read_text())
    assert (report["selection"], report["rule"]) == ("test-oracle", "image AUROC + pixel AUROC + pixel AP")
    first, second, third = report["scores"]
    assert first == third
    assert second - first > 0.5  # of image AUROC; what the maps add is the same each time
