"""Each equation against loops written from the text, to the letter and as released."""

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
losses = pytest.importorskip("generators.seas.losses")
mask_training = pytest.importorskip("generators.seas.mask_training")
noising = pytest.importorskip("generators.seas.noising")

B, SIDES = 2, (8, 4)


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.fixture
def maps() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Anomaly maps, normal maps and masks of two layers."""
    anomaly = [draws(B, r, r, seed=r) for r in SIDES]
    normal = [draws(B, r, r, seed=10 + r) for r in SIDES]
    masks = [(draws(B, r, r, seed=20 + r) > 0.6).astype(float) for r in SIDES]
    return anomaly, normal, masks


def tensors(arrays: list[np.ndarray]) -> list:
    return [torch.from_numpy(array) for array in arrays]


def cells(r: int) -> itertools.product:
    return itertools.product(range(B), range(r), range(r))


def test_eq_3_to_the_letter(maps) -> None:
    anomaly, normal, masks = maps
    first = second = 0.0
    for a, o, m in zip(anomaly, normal, masks, strict=True):
        for b, y, x in cells(len(a[0])):
            first += (a[b, y, x] - m[b, y, x]) ** 2 / B
            second += (o[b, y, x] * m[b, y, x]) ** 2 / B
    given = {"norm": "none", "squared": "sum"}
    assert losses.alignment_loss(tensors(anomaly), tensors(masks), **given).item() == pytest.approx(first)
    assert losses.suppression_loss(tensors(normal), tensors(masks), **given).item() == pytest.approx(second)


def test_eq_3_as_released(maps) -> None:
    anomaly, normal, masks = maps
    first = second = 0.0
    for a, o, m in zip(anomaly, normal, masks, strict=True):
        a, o = ((v - v.min()) / (v.max() - v.min()) for v in (a, o))
        errors, inside = [], []
        for b, y, x in cells(len(a[0])):
            errors.append((a[b, y, x] - m[b, y, x]) ** 2)
            if m[b, y, x] == 1:
                inside.append(o[b, y, x] ** 2)
        first += sum(errors) / len(errors)
        second += sum(inside) / len(inside)
    got = losses.alignment_loss(tensors(anomaly), tensors(masks)).item()
    assert got == pytest.approx(first, rel=1e-6)
    assert losses.suppression_loss(tensors(normal), tensors(masks)).item() == pytest.approx(second, rel=1e-6)


def test_to_the_letter_eq_3_cannot_reach_zero_and_as_released_it_can() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[:, 1:3, 1:3] = 1
    # All attention goes to the four tokens, a quarter each: the most that a softmax can do.
    best = [0.25 * mask]
    assert losses.alignment_loss(best, [mask], norm="none").item() > 0.1
    assert losses.alignment_loss(best, [mask]).item() == pytest.approx(0, abs=1e-6)


def test_an_empty_mask_leaves_nothing_to_suppress() -> None:
    empty = torch.zeros(1, 4, 4)
    assert losses.suppression_loss([torch.rand(1, 4, 4)], [empty]).item() == 0


@pytest.mark.parametrize("squared", ["sum", "mean"])
def test_eq_9_aligns_the_normal_token_to_the_background(maps, squared: str) -> None:
    _, normal, masks = maps
    expected = 0.0
    for o, m in zip(normal, masks, strict=True):
        count = B if squared == "sum" else o.size
        for b, y, x in cells(len(o[0])):
            expected += (o[b, y, x] - (1 - m[b, y, x])) ** 2 / count
    got = losses.background_loss(tensors(normal), tensors(masks), norm="none", squared=squared).item()
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("squared", ["sum", "mean"])
def test_eq_1_and_eq_5_compare_noise(squared: str) -> None:
    noise, predicted = draws(B, 4, 3, 3), draws(B, 4, 3, 3, seed=1)
    per_image = [
        sum((noise[b, c, y, x] - predicted[b, c, y, x]) ** 2 for c in range(4) for y, x in np.ndindex(3, 3))
        for b in range(B)
    ]
    expected = sum(per_image) / B / (1 if squared == "sum" else 36)
    got = losses.noise_loss(*tensors([noise, predicted]), squared)
    assert got.item() == pytest.approx(expected, rel=1e-6)


def focal(logits: np.ndarray, mask: np.ndarray, gamma: float) -> float:
    total = 0.0
    for b, y, x in np.ndindex(mask.shape):
        z = [math.exp(logits[b, c, y, x]) for c in (0, 1)]
        p = z[int(mask[b, y, x])] / sum(z)
        total += -((1 - p) ** gamma) * math.log(p)
    return total / mask.size


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_the_focal_loss_is_lins(gamma: float) -> None:
    logits, mask = 4 * draws(B, 2, 5, 5) - 2, (draws(B, 5, 5, seed=2) > 0.5).astype(float)
    got = losses.focal_loss(*tensors([logits, mask]), gamma).item()
    assert got == pytest.approx(focal(logits, mask, gamma), rel=1e-5)


@pytest.mark.parametrize("normals", [True, False], ids=["nia", "no-nia"])
@pytest.mark.parametrize("coarse_too", [True, False], ids=["cms", "no-cms"])
def test_eq_7_has_a_term_for_each_size_and_kind(normals: bool, coarse_too: bool) -> None:
    coarse, refined = 2 * draws(B, 2, 4, 4) - 1, 2 * draws(B, 2, 8, 8, seed=1) - 1
    ordinary = 2 * draws(B, 2, 4, 4, seed=2) - 1
    small, mask = draws(B, 4, 4, seed=3) > 0.5, draws(B, 8, 8, seed=4) > 0.5
    expected = focal(refined, mask, 2) + coarse_too * focal(coarse, small, 2)
    if normals:
        large = torch.nn.functional.interpolate(torch.from_numpy(ordinary), (8, 8), mode="bilinear").numpy()
        zero = [np.zeros((B, 8, 8)), np.zeros((B, 4, 4))]
        expected += focal(large, zero[0], 2) + coarse_too * focal(ordinary, zero[1], 2)
    got = mask_training.mask_loss(
        *tensors([coarse, refined, small, mask]),
        torch.from_numpy(ordinary) if normals else None,
        coarse_supervision=coarse_too,
    )
    assert got.item() == pytest.approx(expected, rel=1e-5)


def test_a_cell_of_the_mask_is_one_where_any_pixel_is() -> None:
    mask = (draws(B, 64, 64) > 0.99).astype(float)
    for side in (8, 4):
        step = 64 // side
        expected = np.zeros((B, side, side))
        for b, y, x in np.argwhere(mask):
            expected[b, y // step, x // step] = 1
        np.testing.assert_array_equal(losses.pooled_mask(torch.from_numpy(mask), side, 16).numpy(), expected)


def test_masks_as_released_are_interpolated_to_the_latents_then_pooled() -> None:
    mask = np.zeros((1, 64, 64))
    mask[0, 5, 5] = 1
    released = losses.pooled_mask(torch.from_numpy(mask), 8, 16, "bilinear").numpy()
    # At a quarter of the size bilinear interpolation sees rows 1 and 2 of each 4: row 5 is seen by half.
    assert released.max() == pytest.approx(0.25)
    assert (released > 0).sum() == 1


def test_the_longer_schedule_has_less_signal_at_its_end() -> None:
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    for steps, published in ((1000, 4.7e-3), (1500, 3.2e-4)):
        product = 1.0
        low, high = math.sqrt(0.00085), math.sqrt(0.012)
        for step in range(steps):
            product *= 1 - (low + (high - low) * step / (steps - 1)) ** 2
        shares = noising.signal_shares(schedule, steps)
        assert len(shares) == steps
        assert shares[-1].item() == pytest.approx(product)
        assert product == pytest.approx(published, rel=0.02)


def test_noising_and_its_inverse() -> None:
    clean, noise = tensors([draws(B, 4, 2, 2), draws(B, 4, 2, 2, seed=1)])
    share = torch.tensor([0.9, 0.3], dtype=torch.float64)
    noisy = noising.noised(clean, noise, share)
    for b in range(B):
        expected = math.sqrt(share[b]) * clean[b] + math.sqrt(1 - share[b]) * noise[b]
        torch.testing.assert_close(noisy[b], expected)
    torch.testing.assert_close(noising.predicted_clean(noisy, noise, share), clean)
