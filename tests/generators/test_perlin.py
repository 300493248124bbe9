from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.methods import TrainSplit
from bench.methods.textures.perlin import perlin_noise
from bench.methods.textures.photographs import DTD_COUNT, OPERATIONS, augmented
from bench.streams import stream
from generators.perlin import Perlin

SIDE = 64
GREY = np.full((SIDE, SIDE, 3), 90, np.uint8)
CHECKS = np.kron(np.indices((8, 8)).sum(axis=0) % 2 * 255, np.ones((8, 8)))[..., None].repeat(3, 2)


def reference_noise(size: int, cells: int, angles: np.ndarray) -> np.ndarray:
    """Perlin noise by the definition, pixel by pixel."""
    noise = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i * cells / size, j * cells / size
            row, column = int(y), int(x)
            dots = np.zeros((2, 2))
            for down in (0, 1):
                for right in (0, 1):
                    angle = angles[row + down, column + right]
                    dots[down, right] = np.sin(angle) * (y - row - down) + np.cos(angle) * (
                        x - column - right
                    )
            fy, fx = (6 * t**5 - 15 * t**4 + 10 * t**3 for t in (y - row, x - column))
            upper = dots[0, 0] * (1 - fx) + dots[0, 1] * fx
            lower = dots[1, 0] * (1 - fx) + dots[1, 1] * fx
            noise[i, j] = np.sqrt(2) * (upper * (1 - fy) + lower * fy)
    return noise


def test_the_noise_is_perlins() -> None:
    angles = stream("noise").uniform(0, 2 * np.pi, size=(5, 5))
    noise = perlin_noise((20, 20), (4, 4), stream("noise"))
    np.testing.assert_allclose(noise, reference_noise(20, 4, angles), atol=1e-5)


@pytest.mark.parametrize("cells", [(1, 1), (1, 32), (32, 32), (8, 2)])
def test_the_noise_fits_any_size_and_stays_within_one(cells: tuple[int, int]) -> None:
    noise = perlin_noise((50, 37), cells, stream("noise"))
    assert noise.shape == (50, 37)
    assert np.abs(noise).max() <= 1
    assert noise.dtype == np.float32


def test_the_mask_is_never_empty_and_the_rest_is_the_base(make_split, draw) -> None:
    shares = []
    for sample in draw(Perlin, make_split([GREY, CHECKS.astype(np.uint8)]), count=40):
        assert sample.mask.any()
        np.testing.assert_array_equal(sample.image[~sample.mask], sample.base[~sample.mask])
        shares.append(sample.mask.mean())
    assert 0.01 < np.mean(shares) < 0.25


def test_the_opacity_keeps_a_share_of_the_image(make_split, draw) -> None:
    black = make_split([np.full_like(GREY, 0)])
    for sample in draw(Perlin, black, count=20, opacity=0.8, operations=0):
        assert (sample.image == 0).all()
    for sample in draw(Perlin, make_split([GREY]), count=20, opacity=0.0, operations=0):
        assert (sample.image == 90).all()


def test_a_least_change_makes_every_anomaly_visible(make_split, draw) -> None:
    data = make_split([GREY, CHECKS.astype(np.uint8)])
    for sample in draw(Perlin, data, count=30, least_change=20.0):
        assert np.abs(sample.image[sample.mask].astype(int) - sample.base[sample.mask]).max(1).mean() >= 20


def test_what_can_never_be_seen_ends_with_a_sentence(make_split, draw) -> None:
    with pytest.raises(BenchError, match="no visible anomaly for image 0 of 'tile'"):
        draw(Perlin, make_split([GREY]), operations=0, least_change=5.0)


def test_grey_images_stay_grey_where_asked(make_split, draw) -> None:
    data = make_split([GREY, CHECKS.astype(np.uint8)])
    coloured = [np.ptp(s.image.astype(int), axis=2).max() for s in draw(Perlin, data, count=20)]
    kept = [np.ptp(s.image.astype(int), axis=2).max() for s in draw(Perlin, data, count=20, keep_grey=True)]
    assert max(coloured) > 0
    assert max(kept) == 0


def test_textures_come_from_other_categories_too(make_split, draw) -> None:
    categories = make_split([GREY]).categories | {
        "white": make_split([np.full_like(GREY, 255)]).categories["tile"]
    }
    samples = draw(Perlin, TrainSplit(categories, SIDE), count=20, operations=0, opacity=0.0)
    assert {int(sample.image.max()) for sample in samples} == {90, 255}


def test_dtd_is_found_in_the_folder_of_weights(make_split, draw, tmp_path: Path) -> None:
    for number in range(DTD_COUNT):
        folder = tmp_path / "dtd" / "images" / f"class_{number % 47}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number}.jpg"
        if number == 0:
            first = path
            Image.new("RGB", (30, 20), (255, 0, 0)).save(path)
        else:
            path.hardlink_to(first)
    assert Perlin.configure(None, {"textures": "dtd"}).missing(tmp_path) == []
    options = {"textures": "dtd", "operations": 0, "opacity": 0.0, "weights": tmp_path}
    for sample in draw(Perlin, make_split([GREY]), count=3, **options):
        assert (np.abs(sample.image[sample.mask].astype(int) - (255, 0, 0)) <= 2).all()


def test_missing_dtd_is_told_before_any_work(tmp_path: Path) -> None:
    perlin = Perlin.configure(None, {"textures": "dtd"})
    assert "none is set" in perlin.missing(None)[0]
    assert "5640 images), and 0 are there" in perlin.missing(tmp_path)[0]
    assert Perlin.configure().missing(None) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_an_operation_keeps_size_and_type(operation) -> None:
    image = stream("image").integers(0, 256, (20, 30, 3), dtype=np.uint8)
    changed = np.asarray(operation(Image.fromarray(image), stream("draw")))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8


def test_three_different_operations_change_a_texture() -> None:
    image = stream("image").integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert len({augmented(image, stream("draw", i)).tobytes() for i in range(10)}) == 10


@pytest.mark.parametrize("asked", ["hole", "good"])
def test_types_and_normals_are_refused(make_split, draw, asked: str) -> None:
    with pytest.raises(BenchError, match=f"'{asked}' of 'tile'"):
        draw(Perlin, make_split([GREY]), asked)
