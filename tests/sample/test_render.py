"""An item's image, mask and depth agree, and depend on the item alone."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from bench.sample import CATEGORIES, Rendered, SampleSpec, render
from bench.sample.render import DISTANCE, photograph
from bench.sample.spec import SampleItem

SPEC = SampleSpec(size=128)
DEFECTS = [(category, defect) for category, types in CATEGORIES.items() for defect in types]


def digest(rendered: Rendered) -> str:
    sha = hashlib.sha256()
    for field in (rendered.image, rendered.mask, rendered.depth):
        sha.update(field.tobytes())
    return sha.hexdigest()


def pair(category: str, defect: str, index: int) -> tuple[Rendered, Rendered]:
    """The item, and the same part, lamp and shot before the damage."""
    item = SampleItem(category, "test", defect, index)
    return photograph(SPEC, item, damaged=True), photograph(SPEC, item, damaged=False)


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_item_is_rendered_in_the_promised_types(category: str) -> None:
    rendered = render(SPEC, category, "train", "good", 0)
    assert (rendered.image.dtype, rendered.image.shape) == (np.uint8, (128, 128, 3))
    assert (rendered.mask.dtype, rendered.mask.shape) == (np.bool_, (128, 128))
    assert (rendered.depth.dtype, rendered.depth.shape) == (np.float32, (128, 128))
    assert np.isfinite(rendered.depth).all()
    assert abs(float(rendered.depth.mean()) - DISTANCE) < 0.01


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_same_item_has_the_same_bytes_again(category: str) -> None:
    defect = CATEGORIES[category][0]
    once = render(SPEC, category, "test", defect, 3)
    assert digest(once) == digest(render(SampleSpec(size=128, per_defect=99), category, "test", defect, 3))


def test_another_process_renders_the_same_bytes() -> None:
    code = (
        "import hashlib; from bench.sample import SampleSpec, render;"
        "r = render(SampleSpec(size=128), 'weave', 'test', 'cut', 2);"
        "print(hashlib.sha256(r.image.tobytes() + r.mask.tobytes() + r.depth.tobytes()).hexdigest())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == digest(render(SPEC, "weave", "test", "cut", 2))


@pytest.mark.parametrize(
    "other",
    [
        (SampleSpec(size=128, seed=1), "chip", "test", "good", 0),
        (SPEC, "chip", "train", "good", 0),
        (SPEC, "chip", "test", "scratch", 0),
        (SPEC, "chip", "test", "good", 1),
        (SPEC, "washer", "test", "good", 0),
    ],
)
def test_seed_category_split_defect_and_index_each_make_another_image(
    other: tuple[SampleSpec, str, str, str, int],
) -> None:
    first = render(SPEC, "chip", "test", "good", 0)
    assert np.abs(first.image.astype(int) - render(*other).image).mean() > 3


@pytest.mark.parametrize("category", CATEGORIES)
def test_another_size_shows_the_same_scene(category: str) -> None:
    defect = CATEGORIES[category][0]
    large = render(SampleSpec(size=256), category, "test", defect, 0)
    small = render(SampleSpec(size=64), category, "test", defect, 0)
    shrunk = large.image.reshape(64, 4, 64, 4, 3).mean((1, 3))
    share = large.mask.reshape(64, 4, 64, 4).mean((1, 3))
    assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.85
    assert not small.mask[ndimage.binary_dilation(share > 0, iterations=2) == 0].any()
    assert small.mask[share > 0.9].mean() > 0.9 if (share > 0.9).any() else small.mask.any()


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_good_part_has_an_empty_mask(category: str) -> None:
    assert not render(SPEC, category, "test", "good", 0).mask.any()


@pytest.mark.parametrize(("category", "defect"), DEFECTS)
def test_the_mask_is_where_the_damage_changed_the_image(category: str, defect: str) -> None:
    for index in range(3):
        damaged, clean = pair(category, defect, index)
        change = np.abs(damaged.image.astype(int) - clean.image).mean(2)
        near = ndimage.binary_dilation(damaged.mask, iterations=3)  # defocus and shadow reach a little out
        assert 0.0001 < damaged.mask.mean() < 0.2
        assert change[near].sum() > 0.75 * change.sum()
        assert change[damaged.mask].mean() > 1.5
        assert not clean.mask.any()


@pytest.mark.parametrize(("category", "defect"), DEFECTS)
def test_depth_changes_inside_the_mask_and_nowhere_else(category: str, defect: str) -> None:
    damaged, clean = pair(category, defect, 0)
    change = np.abs(damaged.depth - clean.depth)
    if defect == "stain":
        assert not change.any()
    else:
        assert change[damaged.mask].max() > 3e-5
        assert change[~damaged.mask].max() < 4e-5


@pytest.mark.parametrize("size", [32, 48, 100])
@pytest.mark.parametrize(("category", "defect"), DEFECTS)
def test_no_defect_is_lost_in_a_small_image(category: str, defect: str, size: int) -> None:
    assert all(render(SampleSpec(size=size), category, "test", defect, k).mask.any() for k in range(3))


@pytest.mark.parametrize("category", CATEGORIES)
def test_good_parts_vary_as_parts_of_a_line_do(category: str) -> None:
    images = np.stack([render(SPEC, category, "train", "good", k).image for k in range(6)]).astype(float)
    assert images.mean((1, 2)).std(0).max() > 1.5
    assert images.std(0).mean() > 4
    assert all(image.std() > 8 for image in images)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("wood", "test", "good", 0), "no category 'wood'"),
        (("chip", "val", "good", 0), "train, validation or test"),
        (("chip", "test", "cut", 0), "chip/test has no 'cut'"),
        (("chip", "train", "crack", 0), "chip/train has no 'crack'"),
        (("chip", "test", "crack", -1), "index is -1"),
    ],
)
def test_an_item_that_does_not_exist_is_refused(item: tuple[str, str, str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(SPEC, *item)
