"""The nearest vectors of a memory, by float32 products alone and by rounded products first."""

import numpy as np
import pytest
import torch

from detectors.patchcore import neighbours
from detectors.patchcore.neighbours import Memory
from detectors.patchcore.screening import LANES, MOST_LEFT, Screen


def drawn(rows: int, seed: int, *, width: int = 40, about: float = 0.0, spread: float = 1.0) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(about, spread, (rows, width))
    return torch.from_numpy(values.astype(np.float32))


def by_all_distances(queries: torch.Tensor, memory: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    gaps = torch.cdist(queries.double(), memory.double(), compute_mode="donot_use_mm_for_euclid_dist") ** 2
    gaps, rows = gaps.sort(dim=1, stable=True)
    return gaps[:, :k].numpy(), rows[:, :k].numpy()


@pytest.fixture(params=[False, True], ids=["float32", "rounded first"])
def rounded_first(request, monkeypatch) -> bool:
    monkeypatch.setattr(neighbours, "multiplies_bfloat16", lambda device: request.param)
    return request.param


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("about", [0.0, 50.0])
@pytest.mark.parametrize("rows", [3, LANES, 1000])
def test_neighbours_are_those_of_all_distances(rounded_first, rows, about, k) -> None:
    memory, queries = drawn(rows, 0, about=about), drawn(600, 1, about=about)
    gaps, found = Memory(memory).nearest(queries, k)
    expected, nearest = by_all_distances(queries, memory, k)
    np.testing.assert_array_equal(found.numpy(), nearest)
    np.testing.assert_allclose(gaps.numpy(), expected, rtol=1e-6)


def test_a_query_is_told_from_what_is_nearly_as_near(rounded_first) -> None:
    memory, queries = drawn(500, 0), drawn(20, 1)
    memory[100:120] = queries + 0.01
    memory[300:320] = queries + 0.0101  # no rounded product tells it from the other
    gaps, found = Memory(memory).nearest(queries)
    np.testing.assert_array_equal(found[:, 0].numpy(), np.arange(100, 120))
    np.testing.assert_allclose(gaps.numpy(), 40 * 0.01**2, rtol=1e-3)


def test_of_too_many_that_may_be_nearest_none_is_chosen_by_the_rounded_products() -> None:
    memory = drawn(200, 0).repeat(2, 1)
    memory[: MOST_LEFT + 1] = memory[0]
    moved = memory - memory.mean(dim=0)
    screen = Screen(memory, moved, moved.square().sum(dim=1) / 2)
    gaps, rows = screen.nearest(memory[[0, 150]], moved[[0, 150]])
    assert rows[:, 0].tolist() == [-1, 150]  # the first of two that are equal
    assert gaps[1, 0] == 0.0


def test_and_then_they_are_found_all_the_same(rounded_first) -> None:
    memory = drawn(200, 0)
    memory[: MOST_LEFT + 1] = memory[0]
    gaps, found = Memory(memory).nearest(memory[[0, 150]] + 1e-3)
    assert found[0] <= MOST_LEFT and found[1] == 150
    np.testing.assert_allclose(gaps.numpy(), 40e-6, rtol=1e-2)


def test_values_that_are_not_finite_are_left_to_float32() -> None:
    memory = drawn(100, 0)
    screen = Screen(memory, memory, memory.square().sum(dim=1) / 2)
    queries = drawn(2, 1)
    queries[0, 0] = torch.nan
    assert (screen.nearest(queries, queries)[1][:, 0] < 0).tolist() == [True, False]
