"""Losses by hand, learning rates at the steps that papers name, turns of image and mask together."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.methods import Batch
from bench.methods.training import learning_rate
from detectors.losses import dice, focal, ohem, segmentation_loss
from detectors.training import augment

# Two pixels: softmax (0.75, 0.25) where normal is true, and (0.9, 0.1) where anomalous is true.
LOGITS = torch.tensor([[0.75, 0.9], [0.25, 0.1]]).log().view(1, 2, 1, 2)
TARGET = torch.tensor([0, 1]).view(1, 1, 2)


def test_the_focal_loss_of_two_pixels_is_what_the_formula_gives() -> None:
    by_hand = (0.25**2 * -math.log(0.75) + 0.9**2 * -math.log(0.1)) / 2
    assert focal(LOGITS, TARGET, gamma=2.0).item() == pytest.approx(by_hand, rel=1e-6)


def test_the_focal_loss_without_focus_is_cross_entropy() -> None:
    logits = torch.tensor(np.random.default_rng(0).normal(size=(2, 2, 5, 4)))
    target = torch.tensor(np.random.default_rng(1).integers(2, size=(2, 5, 4)))
    assert focal(logits, target, gamma=0.0).item() == pytest.approx(F.cross_entropy(logits, target).item())


def test_the_weight_of_anomalous_pixels_scales_them_alone() -> None:
    once, thrice = (
        segmentation_loss("cross_entropy", LOGITS, TARGET, gamma=2, anomaly_weight=w).item() for w in (1, 3)
    )
    assert thrice - once == pytest.approx(2 * -math.log(0.1) / 2, rel=1e-6)


def test_dice_is_zero_for_a_perfect_map_and_near_one_for_the_opposite() -> None:
    target = torch.zeros(1, 20, 20, dtype=torch.long)
    target[:, :10] = 1
    sure = 50.0 * torch.stack((1 - 2 * target, 2 * target - 1), dim=1).double()
    assert dice(sure, target).item() == pytest.approx(0, abs=1e-9)
    assert dice(-sure, target).item() > 0.99


def test_ohem_averages_all_pixels_below_the_kept_count() -> None:
    assert ohem(LOGITS, TARGET).item() == pytest.approx(F.cross_entropy(LOGITS, TARGET).item(), rel=1e-6)


def test_ohem_of_a_large_batch_leaves_sure_pixels_out() -> None:
    target = torch.zeros(1, 400, 400, dtype=torch.long)
    p = torch.full((1, 400, 400), 0.99)
    p[:, :300] = 0.5  # 120,000 hard pixels, more than the 100,000 that are always kept
    logits = torch.stack((p, 1 - p), dim=1).log()
    assert ohem(logits, target).item() == pytest.approx(-math.log(0.5), rel=1e-5)


def test_multistep_falls_to_a_fifth_at_80_and_at_90_percent_of_the_epochs() -> None:
    rates = [learning_rate("multistep", 1e-4, epoch * 63, 200 * 63, 63) for epoch in (0, 159, 160, 179, 180)]
    assert rates == pytest.approx([1e-4, 1e-4, 2e-5, 2e-5, 4e-6])


def test_poly_starts_at_the_peak_and_ends_near_its_floor() -> None:
    assert learning_rate("poly", 0.01, 0, 80_000, 8_000) == pytest.approx(0.01)
    assert learning_rate("poly", 0.01, 40_000, 80_000, 8_000) == pytest.approx(0.0099 * 0.5**0.9 + 1e-4)
    assert learning_rate("poly", 0.01, 79_999, 80_000, 8_000) == pytest.approx(1e-4, rel=0.01)


def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing() -> None:
    rates = [learning_rate("one_cycle", 1.0, step, 100, 10) for step in range(100)]
    assert max(rates) == rates[25] == 1.0
    assert rates[0] < 0.1
    assert rates[-1] < 0.01


@pytest.mark.parametrize(("name", "arrangements"), [("none", 1), ("flips", 4), ("dihedral", 8)])
def test_an_augmentation_makes_all_its_arrangements_and_no_other(name: str, arrangements: int) -> None:
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    batch = Batch(np.stack([image] * 200), np.zeros((200, 4, 4), bool))
    turned = augment(batch, name, np.random.default_rng(0)).images
    assert len({one.tobytes() for one in turned}) == arrangements


def test_a_mask_turns_with_its_image() -> None:
    rng = np.random.default_rng(3)
    masks = rng.random((50, 8, 8)) < 0.3
    images = np.repeat(masks[..., None] * np.uint8(255), 3, axis=3)
    turned = augment(Batch(images, masks), "dihedral", np.random.default_rng(4))
    assert turned.masks is not None
    assert np.array_equal(turned.images[..., 0] == 255, turned.masks)
    assert not np.array_equal(turned.masks, masks)
    assert np.array_equal(images[..., 0] == 255, masks)
