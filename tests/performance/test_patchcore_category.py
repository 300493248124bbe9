"""PatchCore beside anomalib's on a category of the size of MVTec AD's: 209 normal images, 83 test images.

Both have the same weights and settings (our preset `anomalib`) and do all of it: features, coreset, search,
maps. Of anomalib's greedy loop a few choices are made, which cost the same each, and the time of the other
thousands is added; such a time is marked with a star.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.pool import Pool
from bench.methods import Batch, DetectorSplit
from bench.methods.context import Context
from bench.sample import CATEGORIES, SampleSpec, render
from detectors.backbones.backbone import Backbone, stored, to_input
from detectors.patchcore.adapter import PatchCore
from detectors.patchcore.coreset import begin, select

NORMAL, TEST, SIDE = 209, 83, 224
FEW, MORE = 60, 160
BACKBONES = {
    "WideResNet-50, random weights": {"backbone_weights": "random"},
    "EfficientNet-Lite0, its weights": {"backbone_weights": "embedded"},
}


@pytest.fixture(scope="module")
def leather():
    """Normal and test images uint8 [N, 224, 224, 3]."""
    spec, types = SampleSpec(size=SIDE), CATEGORIES["leather"]
    normal = [render(spec, "leather", "train", "good", i).image for i in range(NORMAL)]
    kinds = [types[i % len(types)] for i in range(TEST)]
    test = [render(spec, "leather", "test", kind, i // len(types)).image for i, kind in enumerate(kinds)]
    return np.stack(normal), np.stack(test)


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def normalised(backbone, images):
    return (to_input(images, "cpu").contiguous() - backbone.mean) / backbone.std


@pytest.mark.full
@pytest.mark.parametrize("name", BACKBONES)
def test_a_whole_category_beside_anomalib(
    patchcore_table, anomalib, stopwatch, leather, tmp_path, name
) -> None:
    normal, test = leather
    items = tuple({"defect": "good", "stem": str(i)} for i in range(NORMAL))
    split = DetectorSplit(("leather",), (), SIDE, {"leather": Pool(normal, None, None, None, items)}, {}, {})
    detector = PatchCore.configure("anomalib", {"size": None, **BACKBONES[name]})
    ctx = Context(0, "detector.fit", "patchcore", "", "cpu", tmp_path)
    select(torch.rand(3000, 8), begin(np.ones(3000), 100))  # compiles
    Backbone(detector.params.backbone, detector.params.layers)  # imports timm and torchvision
    shown = [Batch(test[i : i + 8]) for i in range(0, TEST, 8)]
    fit = stopwatch(lambda: detector.fit(split, tmp_path, ctx))
    predict = stopwatch(lambda: list(detector.predict(tmp_path, shown, ctx)))

    params = detector.params
    backbone = stored(params.backbone, params.layers, tmp_path / "backbone.safetensors")
    theirs, memory = anomalib.twin(backbone), torch.from_numpy(np.load(tmp_path / "memory.npy"))

    def embedded() -> torch.Tensor:
        theirs.train()
        theirs.feature_extractor.eval()
        with torch.no_grad():
            for start in range(0, NORMAL, 32):
                theirs(normalised(backbone, normal[start : start + 32]))
        vectors = torch.vstack(theirs.embedding_store)
        theirs.embedding_store.clear()
        return vectors

    def chosen(vectors: torch.Tensor, count: int) -> list[int]:
        return anomalib.Greedy(vectors, (count + 0.5) / len(vectors)).select_coreset_idxs()

    def learned() -> torch.Tensor:
        vectors = embedded()
        chosen(vectors, FEW)
        return vectors

    def said() -> list:
        with torch.no_grad():
            return [theirs(normalised(backbone, batch.images)) for batch in shown]

    peer_fit = stopwatch(learned)
    few, more = (stopwatch(lambda count=count: chosen(peer_fit.result, count)) for count in (FEW, MORE))
    a_choice = (more.seconds - few.seconds) / (MORE - FEW)
    theirs.memory_bank = memory
    theirs.eval()
    peer_predict = stopwatch(said)

    vectors = torch.from_numpy(np.load(tmp_path / "patches.npy")[: 4 * 784])
    apart = float((vectors - peer_fit.result[: len(vectors)]).abs().max() / vectors.abs().max())
    scores = np.concatenate([one.score for one in predict.result])
    peer_scores = torch.cat([one.pred_score for one in peer_predict.result]).numpy()
    whole = (peer_fit.seconds + (len(memory) - FEW) * a_choice) / peer_fit.seconds
    step = f"{name}: fit, {NORMAL} images, {len(memory)} of {len(peer_fit.result)} patches kept"
    patchcore_table.add(step, "anomalib", fit, peer_fit, f"vectors {apart:.1e}", whole)
    gap = float(np.abs(scores / peer_scores - 1).max())
    step = f"{name}: predict, {TEST} images"
    patchcore_table.add(step, "anomalib", predict, peer_predict, f"scores {gap:.1e}")
    assert apart < 1e-5
    assert gap < 1e-3
    assert peer_fit.seconds * whole + peer_predict.seconds > 10 * (fit.seconds + predict.seconds)
