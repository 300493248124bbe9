import numpy as np
import pytest
import torch

from generators.anomalyhybrid.augmentation import (
    ConditionPose,
    draw_pose,
    identity_grid,
    local_spline,
    training_grid,
    warp,
)
from generators.anomalyhybrid.params import AnomalyHybridParams

SIDE = 64
STILL = ConditionPose(np.ones(2), np.zeros(2), 1.0)


def sampled(image: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return warp(torch.from_numpy(image)[None], torch.from_numpy(grid.astype(np.float32))[None])[0].numpy()


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).random((3, SIDE, SIDE)).astype(np.float32)


def test_the_identity_grid_changes_nothing(noise: np.ndarray) -> None:
    np.testing.assert_allclose(sampled(noise, identity_grid(SIDE)), noise, atol=1e-5)


def test_mirroring_mirrors(noise: np.ndarray) -> None:
    params = AnomalyHybridParams(tps=0)
    grid = training_grid(
        params, ConditionPose(np.array([-1.0, 1.0]), np.zeros(2), 1.0), SIDE, np.random.default_rng(0)
    )
    np.testing.assert_allclose(sampled(noise, grid), noise[:, :, ::-1], atol=1e-5)


def test_a_spline_moves_its_control_points_by_what_it_was_given() -> None:
    moves = np.random.default_rng(1).uniform(-0.1, 0.1, size=(9, 2))
    field = local_spline(256, np.array([0.1, -0.2]), 0.4, moves)
    ticks = np.linspace(-1, 1, 3) * 0.4
    for (x, y), move in zip(np.stack(np.meshgrid(ticks, ticks), axis=2).reshape(9, 2), moves, strict=True):
        column, row = ((np.array([x + 0.1, y - 0.2]) + 1) * 128).astype(int)
        np.testing.assert_allclose(field[row, column], move, atol=0.01)


def test_a_spline_is_local() -> None:
    field = local_spline(SIDE, np.array([-0.5, -0.5]), 0.2, np.full((9, 2), 0.1))
    away = np.abs(identity_grid(SIDE) + 0.5).max(axis=2) > 0.2 * 1.5 + 2 * 4 / SIDE
    assert np.abs(field[away]).max() == 0
    assert np.abs(field).max() > 0.05


def test_a_spline_without_moves_is_nothing() -> None:
    assert np.abs(local_spline(SIDE, np.zeros(2), 0.5, np.zeros((9, 2)))).max() == 0


def test_each_condition_is_bent_on_its_own() -> None:
    rng = np.random.default_rng(2)
    first, second = (training_grid(AnomalyHybridParams(), STILL, SIDE, rng) for _ in range(2))
    assert np.abs(first - identity_grid(SIDE)).max() > 0.01
    assert np.abs(first - second).max() > 0.01


def test_shares_of_zero_leave_the_image_as_it_is() -> None:
    params = AnomalyHybridParams(tps=0, resize=0, flip=0)
    rng = np.random.default_rng(3)
    grid = training_grid(params, draw_pose(params, rng), SIDE, rng)
    np.testing.assert_allclose(grid, identity_grid(SIDE))
