"""Vectors, neighbours, scores and maps against the same written plainly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from detectors.backbones.patches import embed, image_maps
from detectors.patchcore.adapter import PatchCore
from detectors.patchcore.neighbours import Memory
from detectors.patchcore.scoring import patch_scores


@pytest.mark.parametrize(
    ("channels", "dimension"),
    [((512, 1024), 1024), ((40, 112), 1024), ((6, 10, 14), 32), ((8,), 7), ((24, 40, 112), 96)],
)
def test_vectors_are_those_of_the_released_code_at_any_width(patches, channels, dimension) -> None:
    maps = [torch.rand(2, c, 12 // 2**level, 12 // 2**level) for level, c in enumerate(channels)]
    ours = embed(maps, "amazon", dimension)
    assert ours.shape == (2, 144, dimension)
    assert (ours - patches(maps, dimension)).abs().max() <= 1e-6


def test_anomalibs_vectors_are_means_of_three_by_three_of_every_channel() -> None:
    maps = [torch.rand(1, 5, 8, 8), torch.rand(1, 7, 4, 4)]
    ours = embed(maps, "anomalib", 1024).view(8, 8, 12)
    assert ours[3, 4, :5].numpy() == pytest.approx(maps[0][0, :, 2:5, 3:6].mean(dim=(1, 2)).numpy(), rel=1e-6)
    assert ours[0, 0, 0].item() == pytest.approx(maps[0][0, 0, :2, :2].sum().item() / 9, rel=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_and_their_distances_are_those_of_brute_force(points, k: int) -> None:
    memory, queries = points(5000, 24), points(400, 24, seed=1)
    exact = ((queries[:, None, :].astype(float) - memory[None]) ** 2).sum(axis=2)
    rows = exact.argsort(axis=1)[:, :k]
    found, at = Memory(torch.from_numpy(memory)).nearest(torch.from_numpy(queries), k)
    assert np.array_equal(at.numpy(), rows)
    assert found.numpy() == pytest.approx(np.take_along_axis(exact, rows, axis=1), rel=1e-6)


def test_a_patch_that_is_remembered_lies_at_no_distance_at_all(points) -> None:
    memory = points(3000, 256) * 100
    found, at = Memory(torch.from_numpy(memory)).nearest(torch.from_numpy(memory[40:60]))
    assert at.flatten().tolist() == list(range(40, 60))
    assert float(found.max()) == 0.0


def test_the_distance_of_a_patch_is_the_mean_over_its_k_neighbours_and_an_images_score_the_largest() -> None:
    memory = Memory(torch.tensor([[0.0], [1.0], [5.0]]))
    vectors = torch.tensor([[[0.0], [2.0]], [[9.0], [1.0]]])
    released = PatchCore.configure(None, {"k": 2}).params
    scores, patches = patch_scores(released, memory, vectors)
    assert patches.tolist() == [[0.5, 2.5], [(16 + 64) / 2, 0.5]]
    assert scores.tolist() == [2.5, 40.0]
    euclidean = PatchCore.configure(None, {"distance": "euclidean"}).params
    assert patch_scores(euclidean, memory, vectors)[0].tolist() == [1.0, 4.0]


def test_reweighting_is_equation_seven() -> None:
    memory = Memory(torch.tensor([[0.0], [1.0], [5.0], [50.0]]))
    params = PatchCore.configure(None, {"distance": "euclidean", "reweighting": 3}).params
    scores, _ = patch_scores(params, memory, torch.tensor([[[7.0]]]))
    # The nearest is 5; its three nearest memories are 5, 1 and 0, at distances 2, 6 and 7 of the patch.
    weight = 1 - np.exp(2) / (np.exp(2) + np.exp(6) + np.exp(7))
    assert scores.item() == pytest.approx(2 * weight, rel=1e-6)


def test_a_map_is_enlarged_and_blurred_as_in_the_released_code() -> None:
    patches = torch.rand(3, 28, 28)
    ours = image_maps(patches, 224, "amazon", 4.0)
    large = F.interpolate(patches[:, None], 224, mode="bilinear", align_corners=False)[:, 0]
    expected = np.stack([gaussian_filter(m, 4) for m in large.double().numpy()])
    assert ours.numpy() == pytest.approx(expected, abs=1e-6)
