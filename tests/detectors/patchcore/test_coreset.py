"""The fast selection chooses what the plain loop chooses."""

import numpy as np
import pytest
import torch

from detectors.patchcore import coreset
from detectors.patchcore.coreset import begin, begin_at, mean_distances, select
from detectors.patchcore.memory import dense, sparse


def starts_of(points: int, count: int = 10) -> np.ndarray:
    return np.random.default_rng(7).choice(points, count, replace=False)


@pytest.mark.parametrize("block", [16, 200, 2048])
def test_the_choices_are_those_of_the_plain_loop_in_the_same_order(
    points, greedy, monkeypatch, block: int
) -> None:
    x = points(3000, 128)
    starts = starts_of(3000)
    mean = np.sqrt(((x[:, None].astype(float) - x[starts]) ** 2).sum(axis=2)).mean(axis=1)
    features = torch.from_numpy(x)
    monkeypatch.setattr(coreset, "BLOCK", block)
    chosen = select(features, begin(mean_distances(features, starts), 300))
    assert chosen.tolist() == greedy(x, mean, 300)


def test_one_random_start_is_the_first_choice_and_the_rest_follows(points, greedy) -> None:
    x = points(2000, 40)
    distances = np.sqrt(((x.astype(float) - x[123]) ** 2).sum(axis=1))
    chosen = select(torch.from_numpy(x), begin_at(123, 2000, 200))
    assert chosen.tolist() == [123, *greedy(x, distances, 199)]


def test_points_far_from_the_origin_lose_no_digits(points, greedy) -> None:
    x = points(1500, 32) + np.float32(1000)
    distances = np.sqrt(((x.astype(float) - x[0]) ** 2).sum(axis=1))
    assert select(torch.from_numpy(x), begin_at(0, 1500, 150)).tolist()[1:] == greedy(x, distances, 149)


def test_equal_patches_are_remembered_once(points) -> None:
    x = np.repeat(points(50, 16), 40, axis=0)
    chosen = select(torch.from_numpy(x), begin_at(0, 2000, 200))
    assert len(chosen) == 50
    assert sorted(chosen // 40) == list(range(50))


def test_the_choices_hold_where_a_block_is_smaller_than_a_group_of_equal_patches(
    points, greedy, monkeypatch
) -> None:
    x = np.repeat(points(20, 16), 30, axis=0)
    monkeypatch.setattr(coreset, "BLOCK", 8)
    distances = np.sqrt(((x.astype(float) - x[0]) ** 2).sum(axis=1))
    chosen = select(torch.from_numpy(x), begin_at(0, 600, 15))
    assert np.array_equal(x[chosen[1:]], x[greedy(x, distances, 14)])


def test_a_selection_that_is_interrupted_goes_on_to_the_same_choices(points) -> None:
    features = torch.from_numpy(points(4000, 64))
    bounds = mean_distances(features, starts_of(4000))
    whole = select(features, begin(bounds, 400))

    def stop(done: int, total: int) -> None:
        if done > 150:
            raise KeyboardInterrupt

    cut = begin(bounds, 400)
    with pytest.raises(KeyboardInterrupt):
        select(features, cut, stop)
    assert 150 < cut.count < 400
    assert np.array_equal(select(features, cut), whole)


def test_the_released_codes_start_is_the_mean_distance_to_ten_points(points) -> None:
    x = points(300, 24)
    starts = starts_of(300)
    expected = np.sqrt(((x[:, None].astype(float) - x[starts]) ** 2).sum(axis=2)).mean(axis=1)
    assert np.sqrt(mean_distances(torch.from_numpy(x), starts)) == pytest.approx(expected, rel=1e-12)


def test_the_dense_projection_is_drawn_as_torch_draws_a_linear_layer() -> None:
    ours = dense(np.random.default_rng(0), 512)
    theirs = torch.nn.Linear(512, 128, bias=False).weight.detach().numpy()
    assert ours.shape == theirs.T.shape
    assert abs(ours).max() == pytest.approx(abs(theirs).max(), rel=1e-3)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.01)


def test_the_sparse_projection_nearly_keeps_distances(points) -> None:
    x = points(200, 900)
    by = sparse(np.random.default_rng(0), 900, 100_000)
    assert np.mean(by != 0) == pytest.approx(1 / 30, rel=0.05)
    before = np.linalg.norm(x[:100] - x[100:], axis=1)
    after = np.linalg.norm((x[:100] - x[100:]) @ by, axis=1)
    assert np.median(after / before) == pytest.approx(1, abs=0.05)
