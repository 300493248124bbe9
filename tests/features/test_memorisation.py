"""Copies of training images and leaks of test images are caught; honest generators are not accused."""

from __future__ import annotations

import numpy as np
import pytest

from bench.features import profile
from bench.metrics import UndefinedMetricError
from bench.metrics.copies import nearest_real


@pytest.fixture(scope="module")
def embedded():
    return profile("embedded")


@pytest.fixture(scope="module")
def real(images):
    return images(12, 48, seed=0), images(14, 48, seed=1)


def retouched(pictures, seed=0):
    """Copies under another brightness and fresh sensor noise."""
    noise = np.random.default_rng(seed).normal(0, 2, pictures.shape)
    return (pictures * 0.98 + 3 + noise).clip(0, 255).astype(np.uint8)


def test_an_honest_generator_copies_nothing(embedded, real, images):
    result = nearest_real(images(20, 48, seed=7), *real, profile=embedded)
    assert result.copies <= 0.2
    assert result.leaks <= 0.2
    assert result.real_images == 26


def test_a_generator_that_retouches_its_training_images_is_caught(embedded, real, images):
    train, test = real
    made = np.concatenate([retouched(train), images(8, 48, seed=7)])
    result = nearest_real(made, train, test, profile=embedded)
    assert result.copies == pytest.approx(12 / 20, abs=0.06)
    assert result.leaks <= 0.2
    assert result.train_index[:12].tolist() == list(range(12))
    assert {pair[:3] for pair in result.closest(12)} == {(i, "train", i) for i in range(12)}


def test_a_generator_that_saw_the_test_set_is_caught(embedded, real):
    train, test = real
    result = nearest_real(retouched(test), train, test, profile=embedded)
    assert result.leaks > 0.9
    assert result.nearer_to_test > 0.9
    assert result.copies <= 0.2
    assert result.closest(1)[0][1] == "test"


def test_distances_are_those_of_the_stage_tensors(embedded, real, images):
    train, test = real
    made = images(3, 48, seed=7)
    result = nearest_real(made, train, test, profile=embedded, batch=2)
    own, other = embedded.perceptual(made), embedded.perceptual(train)
    table = sum(
        ((a[:, None].double() - b[None].double()) ** 2).sum(dim=2) for a, b in zip(own, other, strict=True)
    )
    np.testing.assert_allclose(result.to_train, table.min(dim=1).values, rtol=1e-5)
    np.testing.assert_array_equal(result.train_index, table.argmin(dim=1))


def test_blocks_of_real_images_do_not_change_the_result(embedded, real, images, monkeypatch):
    made = images(4, 48, seed=7)
    whole = nearest_real(made, *real, profile=embedded)
    monkeypatch.setattr("bench.metrics.copies.BYTES_A_BLOCK", 3 * 4 * 20_000)
    parts = nearest_real(made, *real, profile=embedded)
    np.testing.assert_allclose(parts.to_train, whole.to_train, rtol=1e-5)
    assert parts.copy_distance == pytest.approx(whole.copy_distance, rel=1e-5)


def test_without_test_images_nothing_is_said_of_leaks(embedded, real):
    result = nearest_real(retouched(real[0]), real[0], profile=embedded)
    assert (result.leaks, result.to_test, result.nearer_to_test) == (None, None, None)
    assert result.copies > 0.9
    with pytest.raises(UndefinedMetricError, match="real images have 0 distance between them"):
        nearest_real(real[0], real[0][:1], profile=embedded)
