"""What a method sees of an image: against torchvision's transforms, and back to the whole image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from bench.data.build import build_pool
from bench.data.images import resize_image
from bench.data.layout import Item
from bench.data.pool import open_pool
from bench.data.view import View


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(60, 90), (91, 60), (75, 75)])
@pytest.mark.parametrize("view", [View(28, "crop"), View(28, "crop", 33), View(80, "crop", 97)])
def test_a_crop_is_torchvisions_resize_and_centre_crop(size, view) -> None:
    image = Image.fromarray(picture(*size))
    released = transforms.Compose(
        [transforms.Resize(view.short_side or view.side), transforms.CenterCrop(view.side)]
    )
    assert np.array_equal(view.picture(image), np.asarray(released(image)))


def test_stretched_images_are_those_of_today() -> None:
    image = picture(60, 90)
    assert np.array_equal(View(32).picture(Image.fromarray(image)), resize_image(image, 32))


def test_a_crop_of_a_pool_is_made_from_the_files_and_its_mask_lies_where_the_image_shows_it(tmp_path) -> None:
    image, mask = np.zeros((80, 120, 3), np.uint8), np.zeros((80, 120), bool)
    mask[20:44, 50:70] = True
    image[mask] = 255
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    item = Item(tmp_path / "image.png", tmp_path / "mask.png", None, "image")
    build_pool([(item, "crack")], tmp_path / "pool", View(40, "crop"))
    pool = open_pool(tmp_path / "pool")
    assert np.array_equal(pool.images[0, :, :, 0] > 127, pool.mask(0))
    assert pool.mask(0).sum() == 12 * 10  # the proportions are kept: half of 24 x 20
    assert pool.mask(0)[10:22, 15:25].all()


def test_an_image_made_of_a_stretched_one_gets_its_proportions_back() -> None:
    image = picture(64, 64)
    view = View(40, "crop")
    as_file = np.asarray(Image.fromarray(image).resize((60, 40), Image.Resampling.BILINEAR))
    assert np.array_equal(view.picture(Image.fromarray(image), (80, 120)), as_file[:, 10:50])


def test_maps_of_a_stretched_view_come_back_as_torch_interpolates() -> None:
    maps = np.random.default_rng(0).random((2, 36, 36), dtype=np.float32)
    expected = F.interpolate(torch.from_numpy(maps)[:, None], 32, mode="bilinear")[:, 0].numpy()
    assert View(36).in_frame(maps, (50, 70), 32) == pytest.approx(expected, abs=1e-6)


def test_a_map_of_a_crop_lies_where_the_crop_lay_and_outside_there_is_none() -> None:
    view, size, frame = View(40, "crop", 50), (100, 150), 60
    defect = np.zeros((100, 150), bool)
    defect[44:60, 70:94] = True
    back = view.in_frame(view.mask(defect)[None].astype(np.float32), size, frame)[0]
    whole = View(frame).mask(defect)
    visible = view.visible(size, frame)
    assert np.isnan(back[~visible]).all() and not np.isnan(back[visible]).any()
    assert (whole & ~visible).sum() == 0
    agreed = (whole & (back > 0.5)).sum() / (whole | (back > 0.5)).sum()
    assert agreed > 0.9
    assert visible.mean() == pytest.approx(0.8 * 0.8 / 1.5, abs=0.03)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ({"side": 0}, "a side of 1 or more"),
        ({"side": 64, "fit": "cut"}, "the fit stretch or crop"),
        ({"side": 64, "short_side": 80}, "short_side belongs to the fit crop"),
        ({"side": 64, "fit": "crop", "short_side": 48}, "cannot be cut from a short side of 48"),
    ],
)
def test_a_view_that_cannot_be_is_refused(view, says) -> None:
    with pytest.raises(ValueError, match=says):
        View(**view)
