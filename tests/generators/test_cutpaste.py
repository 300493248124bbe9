import numpy as np
import pytest

from bench.errors import BenchError
from generators.cutpaste import CutPaste

SIDE = 256
RAMP = np.repeat(np.add.outer(np.arange(SIDE), np.arange(SIDE))[..., None] // 2, 3, axis=2).astype(np.uint8)


def boxes(mask: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_a_patch_has_the_area_and_aspect_of_the_paper(make_split, draw) -> None:
    wide = tall = 0
    for sample in draw(CutPaste, make_split([RAMP]), count=60, variant="patch"):
        height, width = boxes(sample.mask)
        assert sample.mask.sum() == height * width
        assert 0.018 <= height * width / SIDE**2 <= 0.155
        assert 0.29 <= width / height <= 3.4
        wide, tall = wide + (width > height), tall + (height > width)
    assert min(wide, tall) > 10


def test_a_scar_has_the_size_of_the_paper(make_split, draw) -> None:
    for sample in draw(CutPaste, make_split([RAMP]), count=60, variant="scar"):
        assert 2 * 10 * 0.6 <= sample.mask.sum() <= 16 * 25 * 1.2
        assert max(boxes(sample.mask)) <= np.hypot(16, 25) + 2


def test_both_gives_patches_and_scars(make_split, draw) -> None:
    areas = np.array([s.mask.mean() for s in draw(CutPaste, make_split([RAMP]), count=40)])
    assert 8 < (areas > 0.015).sum() < 32


def test_nothing_changes_outside_the_mask(make_split, draw) -> None:
    for sample in draw(CutPaste, make_split([RAMP]), count=20):
        np.testing.assert_array_equal(sample.image[~sample.mask], sample.base[~sample.mask])
        assert (sample.image[sample.mask] != sample.base[sample.mask]).any()


def test_without_jitter_the_patch_is_a_part_of_the_image(make_split, draw) -> None:
    for sample in draw(CutPaste, make_split([RAMP]), count=10, variant="patch", jitter=0.0):
        rows, columns = np.nonzero(sample.mask)
        piece = sample.image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0].astype(int)
        # The ramp rises by half a level a pixel, wherever it was cut.
        assert abs(piece[-1, 0] - piece[0, 0] - (len(piece) - 1) / 2) <= 3


def test_small_images_work(make_split, draw) -> None:
    assert all(s.mask.any() for s in draw(CutPaste, make_split([RAMP[:8, :8]]), count=30))


@pytest.mark.parametrize("asked", ["hole", "good"])
def test_types_and_normals_are_refused(make_split, draw, asked: str) -> None:
    with pytest.raises(BenchError, match=f"'{asked}' of 'tile'"):
        draw(CutPaste, make_split([RAMP]), asked)
