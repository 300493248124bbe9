"""PatchCore beside anomalib's, on the same weights, images and starting points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bench.adapters import Batch, DetectorSplit
from bench.data.pool import Pool
from detectors.patchcore import PatchCore, coreset
from detectors.patchcore.neighbours import Memory
from detectors.patchcore.scoring import patch_scores
from detectors.patches.backbone import pretrained, resized
from detectors.patches.embedding import embed
from detectors.patches.maps import image_maps

LITE, LAYERS = "timm/tf_efficientnet_lite0", ("blocks.2", "blocks.4")


@pytest.fixture
def pair(anomalib) -> tuple[Any, Any]:
    """Our backbone and anomalib's model with the same weights, those of EfficientNet-Lite0."""
    ours = pretrained(LITE, LAYERS, "embedded", None)
    return ours, anomalib.twin(ours)


def normalised(ours: Any, images: np.ndarray) -> torch.Tensor:
    return (resized(images, None, None, "cpu") - ours.mean) / ours.std


def pictures(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, uint8 [N, side, side, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return (resized(coarse, side, None, "cpu").permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def test_vectors_are_anomalibs_to_float_precision(pair) -> None:
    ours, theirs = pair
    images = pictures(3)
    theirs.train()
    theirs.feature_extractor.eval()
    with torch.inference_mode():
        expected = theirs(normalised(ours, images))
        vectors = embed(ours(resized(images, None, None, "cpu")), "anomalib", 1024).flatten(0, 1)
    assert vectors.shape == expected.shape == (3 * 64, 152)
    assert (vectors - expected).abs().max() < 2e-6 * expected.abs().max()


def test_the_coreset_is_anomalibs_from_the_same_start(anomalib, points) -> None:
    sampler = anomalib.Greedy(torch.from_numpy(points(6000, 152)), sampling_ratio=0.05)
    expected = sampler.select_coreset_idxs()
    chosen = coreset.select(sampler.features, coreset.begin_at(expected[0], 6000, 300))
    assert sampler.features.shape[1] == int(4 * np.log(6000) / (0.9**2 / 2 - 0.9**3 / 3))
    assert set(chosen.tolist()) == set(expected)


def test_distances_scores_and_maps_are_anomalibs_with_the_same_memory(pair) -> None:
    ours, theirs = pair
    with torch.inference_mode():
        memory = embed(ours(resized(pictures(12), None, None, "cpu")), "anomalib", 1024).flatten(0, 1)[::5]
        theirs.memory_bank = memory
        theirs.eval()
        images = pictures(5, seed=1)
        said = theirs(normalised(ours, images))
        vectors = embed(ours(resized(images, None, None, "cpu")), "anomalib", 1024)
        expected, _ = theirs.nearest_neighbors(vectors.flatten(0, 1), n_neighbors=1)
        params = PatchCore.configure("anomalib").params
        scores, patches = patch_scores(params, Memory(memory), vectors)
        maps = image_maps(patches.unflatten(1, (8, 8)), 64, None, 64, params.upsampling, params.sigma)
    assert patches.flatten().numpy() == pytest.approx(expected.flatten().numpy(), rel=1e-4)
    assert scores.numpy() == pytest.approx(said.pred_score.numpy(), rel=1e-5)
    assert maps.numpy() == pytest.approx(said.anomaly_map[:, 0].numpy(), rel=1e-4)


def aurocs(scores: np.ndarray, maps: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    truth = masks.any(axis=(1, 2))
    return roc_auc_score(truth, scores), roc_auc_score(masks.ravel(), maps.ravel())


def from_their_memory(network: Any, theirs: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Our scores and maps of some images, from the coreset that anomalib chose."""
    params, memory = PatchCore.configure("anomalib").params, Memory(theirs.memory_bank)
    side, scores, maps = images.shape[1], [], []
    for start in range(0, len(images), 8):
        vectors = embed(network(resized(images[start : start + 8], None, None, "cpu")), "anomalib", 1024)
        score, patches = patch_scores(params, memory, vectors)
        grid = patches.unflatten(1, (side // 8, side // 8))
        scores.append(score)
        maps.append(image_maps(grid, side, None, side, params.upsampling, params.sigma))
    return torch.cat(scores).numpy(), torch.cat(maps).numpy()


def all_aurocs(anomalib, pair, data, share: float, context, tmp_path: Path) -> tuple[tuple, tuple, tuple]:
    """Image and pixel AUROC of ours, of anomalib's, and of ours from anomalib's coreset.

    The first two are fitted each by itself, with random starts and projections of their own.
    """
    overrides = {
        **PatchCore.presets["anomalib"],
        "backbone_weights": "embedded",
        "size": None,
        "coreset_share": share,
    }
    detector = PatchCore.configure(None, overrides)
    side = data.normal.shape[1]
    items = tuple({"defect": "good", "stem": str(i)} for i in range(len(data.normal)))
    pool = Pool(data.normal, None, None, None, items)
    detector.fit(DetectorSplit(("tile",), (), side, {"tile": pool}, {}, {}), tmp_path / "model", context())
    [said] = detector.predict(tmp_path / "model", [Batch(data.test)], context())
    ours = aurocs(said.score, said.amap, data.masks)
    network, theirs = pair
    theirs.train()
    theirs.feature_extractor.eval()
    with torch.no_grad():
        for start in range(0, len(data.normal), 8):
            theirs(normalised(network, data.normal[start : start + 8]))
        theirs.subsample_embedding(share)
        theirs.eval()
        parts = [theirs(normalised(network, data.test[i : i + 8])) for i in range(0, len(data.test), 8)]
    scores = torch.cat([part.pred_score for part in parts]).numpy()
    maps = torch.cat([part.anomaly_map for part in parts])[:, 0].numpy()
    with torch.inference_mode():
        shared = aurocs(*from_their_memory(network, theirs, data.test), data.masks)
    return ours, aurocs(scores, maps, data.masks), shared


def test_on_magnetic_tiles_both_find_the_same_defects(
    anomalib, pair, magnetic_tile, context, tmp_path
) -> None:
    ours, theirs, shared = all_aurocs(anomalib, pair, magnetic_tile(64, 100, 4), 0.1, context, tmp_path)
    assert shared == pytest.approx(theirs, abs=0.005)
    assert ours == pytest.approx(theirs, abs=0.04)  # 72 test images; coresets of different starts


@pytest.mark.full
def test_on_all_magnetic_tiles_the_areas_agree_within_half_a_point(
    anomalib, pair, magnetic_tile, context, tmp_path
) -> None:
    ours, theirs, shared = all_aurocs(anomalib, pair, magnetic_tile(96), 0.03, context, tmp_path)
    print(f"image, pixel AUROC: ours {ours}, anomalib {theirs}, ours from its coreset {shared}")
    assert shared == pytest.approx(theirs, abs=0.005)
    assert ours == pytest.approx(theirs, abs=0.015)
