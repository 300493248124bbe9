import numpy as np
import pytest

from bench.errors import BenchError
from generators.crop_paste import CropPaste, brightness_gain, cut, transform

SIDE = 48
GREY, RED = np.uint8(100), (200, 20, 20)
PLAIN = np.full((SIDE, SIDE, 3), GREY)
STILL = {"flip": False, "rotation": 0.0, "scale": (1.0, 1.0)}


def defect(top: int, left: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    image, mask = PLAIN.copy(), np.zeros((SIDE, SIDE), dtype=bool)
    mask[top : top + height, left : left + width] = True
    image[mask] = RED
    return image, mask


def test_a_plain_paste_moves_exactly_the_pixels_of_the_mask(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(20, 20, 5, 9)]})
    places = set()
    for sample in draw(CropPaste, data, "hole", **STILL):
        assert sample.mask.sum() == 45
        assert (sample.image[sample.mask] == RED).all()
        assert (sample.image[~sample.mask] == GREY).all()
        np.testing.assert_array_equal(sample.base, PLAIN)
        places.add(tuple(np.argwhere(sample.mask)[0]))
    assert len(places) > 4


def test_a_turned_defect_keeps_its_area_and_its_colour(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(15, 10, 6, 20)]})
    for sample in draw(CropPaste, data, "hole", scale=(1.0, 1.0)):
        assert sample.mask.sum() == pytest.approx(120, abs=20)
        assert np.abs(np.median(sample.image[sample.mask], axis=0) - RED).max() <= 1


def test_scale_multiplies_the_area_by_its_square(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(15, 15, 10, 10)]})
    for sample in draw(CropPaste, data, "hole", rotation=0.0, scale=(2.0, 2.0)):
        assert sample.mask.sum() == pytest.approx(400, rel=0.15)


def test_same_place_stays_within_the_shift(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(10, 30, 5, 5)]})
    options = {**STILL, "placement": "same-place", "shift": 0.1}
    for sample in draw(CropPaste, data, "hole", **options):
        assert np.abs(np.argwhere(sample.mask)[0] - (10, 30)).max() <= 0.1 * SIDE


def test_similar_placement_lands_on_what_surrounded_the_defect(make_split, draw) -> None:
    product = np.full((SIDE, SIDE, 3), 20, np.uint8)
    product[4:24, 4:44] = 180
    real = product.copy()
    real[10:14, 20:24] = RED
    mask = (real == RED).all(axis=2)
    data = make_split([product], {"hole": [(real, mask)]})
    for sample in draw(CropPaste, data, "hole", count=20, placement="similar", **STILL):
        rows, columns = np.nonzero(sample.mask)
        assert (product[rows, columns, 0] == 180).mean() == 1


def test_natural_placement_keeps_a_defect_of_the_border_at_a_border(make_split, draw) -> None:
    data = make_split([PLAIN], {"break": [defect(20, 0, 6, 4)]})
    seen = set()
    for sample in draw(CropPaste, data, "break", count=20, placement="natural"):
        sides = (bool(sample.mask[:, 0].any()), bool(sample.mask[:, -1].any()))
        seen.add(sides)
        assert sample.mask.sum() == 24
    assert seen == {(True, False), (False, True)}


def test_natural_placement_moves_a_small_inner_defect(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(20, 20, 4, 4)]})
    tops = {np.argwhere(s.mask)[0][0] for s in draw(CropPaste, data, "hole", count=20, placement="natural")}
    assert max(tops) - min(tops) > SIDE / 3


def test_a_mask_over_nearly_all_of_the_image_still_gives_a_sample(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(0, 0, SIDE, SIDE - 1)]})
    for sample in draw(CropPaste, data, "hole", scale=(3.0, 4.0)):
        assert sample.mask.any()
        assert (sample.image[~sample.mask] == GREY).all()


def test_a_hollow_mask_larger_than_the_image_still_shows(make_split, draw) -> None:
    image, mask = defect(0, 0, SIDE, SIDE)
    mask[2:-2, 2:-2] = False
    for sample in draw(CropPaste, make_split([PLAIN], {"hole": [(image, mask)]}), "hole", scale=(4.0, 4.0)):
        assert sample.mask.any()


def test_a_defect_of_one_pixel_survives_being_made_smaller(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(20, 20, 1, 1)]})
    assert all(s.mask.any() for s in draw(CropPaste, data, "hole", count=20, scale=(0.2, 0.3)))


def test_sources_with_an_empty_mask_are_passed_over(make_split, draw) -> None:
    empty = (PLAIN, np.zeros((SIDE, SIDE), dtype=bool))
    data = make_split([PLAIN], {"hole": [empty, defect(9, 9, 3, 3), empty]})
    assert {int(s.mask.sum()) for s in draw(CropPaste, data, "hole", **STILL)} == {9}


def test_any_draws_from_all_types(make_split, draw) -> None:
    data = make_split([PLAIN], {"hole": [defect(9, 9, 3, 3)], "slit": [defect(9, 9, 2, 10)]})
    assert {int(s.mask.sum()) for s in draw(CropPaste, data, "any", count=20, **STILL)} == {9, 20}


def test_a_type_whose_masks_are_all_empty_is_named(make_split, draw) -> None:
    empty = (PLAIN, np.zeros((SIDE, SIDE), dtype=bool))
    data = make_split([PLAIN], {"hole": [empty], "slit": [defect(9, 9, 2, 10)]})
    with pytest.raises(BenchError, match="every training mask of 'hole' of 'tile' is empty"):
        draw(CropPaste, data, "hole")


def test_fit_refuses_a_split_without_any_mask(make_split, draw) -> None:
    empty = (PLAIN, np.zeros((SIDE, SIDE), dtype=bool))
    with pytest.raises(BenchError, match="every mask of the train split is empty"):
        draw(CropPaste, make_split([PLAIN], {"hole": [empty]}), "hole")


def test_no_normal_images_are_named(make_split, draw) -> None:
    with pytest.raises(BenchError, match="train/good of 'tile' is empty"):
        draw(CropPaste, make_split([], {"hole": [defect(9, 9, 3, 3)]}), "hole")


def test_ring_matching_carries_the_contrast_to_a_darker_image(make_split, draw) -> None:
    image, mask = defect(20, 20, 6, 6)
    image[mask] = 150
    data = make_split([PLAIN // 4 * 3], {"hole": [(image, mask)]})
    for sample in draw(CropPaste, data, "hole", match="ring", **STILL):
        # 150 on 100 is 112.5 on 75; the + 1 that keeps black finite moves it a little.
        assert np.abs(sample.image[sample.mask].astype(int) - 113).max() <= 1


def test_the_gain_is_bounded_on_black() -> None:
    region = np.zeros((20, 20), dtype=bool)
    region[8:12, 8:12] = True
    bright, black = np.full((20, 20, 3), 200.0, np.float32), np.zeros((20, 20, 3), np.float32)
    np.testing.assert_array_equal(brightness_gain(black, bright, region), np.full(3, np.float32(3 / 2)))
    np.testing.assert_array_equal(brightness_gain(bright, black, region), np.full(3, np.float32(2 / 3)))


def test_a_feather_fades_the_surroundings_and_leaves_the_defect(make_split, draw) -> None:
    data = make_split([PLAIN + 80], {"hole": [defect(20, 20, 8, 8)]})
    for sample in draw(CropPaste, data, "hole", feather=2, **STILL):
        assert (sample.image[sample.mask] == RED).all()
        levels = np.unique(sample.image[~sample.mask][:, 0])
        assert levels.min() >= 100
        assert len(levels) > 2


def test_a_quarter_turn_is_exact() -> None:
    image, mask = defect(20, 10, 4, 8)
    turned = transform(cut(image, mask), angle=np.pi / 2, scale=1.0)
    rows, columns = np.nonzero(turned.mask)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (8, 4)


@pytest.mark.parametrize("scale", [(2.0, 1.0), (0.0, 1.0), (1.0, 9.0)])
def test_an_impossible_scale_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(BenchError, match="crop_paste"):
        CropPaste.configure(None, {"scale": scale})
