import numpy as np
import pytest

from bench.errors import BenchError
from generators.augmented_normals import AugmentedNormals

SIDE = 96
Y, X = np.mgrid[:SIDE, :SIDE]
STILL = {"rotation": 0.0, "shift": 0.0, "zoom": 0.0, "light": 0.0}


def blob(row: float, column: float) -> np.ndarray:
    """A bright Gaussian spot on grey, uint8 [H, W, 3]."""
    spot = 60 + 150 * np.exp(-((Y - row) ** 2 + (X - column) ** 2) / (2 * 6.0**2))
    return np.repeat(spot[:, :, None], 3, axis=2).astype(np.uint8)


def centre(image: np.ndarray) -> np.ndarray:
    """Row and column of the centre of mass of what is brighter than the grey."""
    weight = np.clip(image[:, :, 0].astype(float) - image.min() - 5, 0, None)
    return np.array([(Y * weight).sum(), (X * weight).sum()]) / weight.sum()


def test_with_nothing_to_change_it_copies(make_split, draw) -> None:
    images = [blob(40, 50), blob(60, 30)]
    drawn = [sample.image for sample in draw(AugmentedNormals, make_split(images), "good", 12, **STILL)]
    assert {image.tobytes() for image in drawn} == {image.tobytes() for image in images}


def test_a_part_is_moved_by_no_more_than_the_shift(make_split, draw) -> None:
    split = make_split([blob(48, 48)])
    options = {**STILL, "shift": 0.1}
    moved = [
        centre(s.image) - centre(blob(48, 48)) for s in draw(AugmentedNormals, split, "good", 30, **options)
    ]
    assert np.abs(moved).max() <= 0.1 * SIDE + 0.5
    assert np.ptp(moved, axis=0).min() > 0.1 * SIDE


def test_a_part_is_turned_about_the_centre_by_no_more_than_the_rotation(make_split, draw) -> None:
    split = make_split([blob(47.5, 77.5)])
    options = {**STILL, "rotation": 20.0}
    offsets = [centre(s.image) - 47.5 for s in draw(AugmentedNormals, split, "good", 30, **options)]
    angles = [np.degrees(np.arctan2(row, column)) for row, column in offsets]
    assert max(np.abs(angles)) <= 21
    assert min(angles) < -5 < 5 < max(angles)
    assert [np.hypot(*offset) for offset in offsets] == pytest.approx([30] * 30, abs=1)


def test_light_stays_within_its_share(make_split, draw) -> None:
    grey = np.full((SIDE, SIDE, 3), 100, np.uint8)
    means = [
        s.image.mean()
        for s in draw(AugmentedNormals, make_split([grey]), "good", 40, **{**STILL, "light": 0.2})
    ]
    assert 79 <= min(means) < 90 < 110 < max(means) <= 121


def test_it_mirrors_only_where_it_is_asked_to(make_split, draw) -> None:
    split = make_split([blob(20, 70)])

    def corners(**options: object) -> set[tuple[bool, bool]]:
        centres = [centre(s.image) for s in draw(AugmentedNormals, split, "good", 40, **{**STILL, **options})]
        return {(bool(row > 48), bool(column > 48)) for row, column in centres}

    assert corners() == {(False, True)}
    assert len(corners(flips=True)) == 4


def test_it_makes_no_anomalies(make_split, draw) -> None:
    with pytest.raises(BenchError, match="makes no anomalies, but 'any' of 'tile' was asked for"):
        draw(AugmentedNormals, make_split([blob(40, 50)]), "any")


def test_it_needs_normal_images(make_split, draw) -> None:
    with pytest.raises(BenchError, match="train/good of 'tile' is empty"):
        draw(AugmentedNormals, make_split([]), "good")
