import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from bench.data.images import (
    read_depth,
    read_image,
    read_mask,
    read_viewed,
    resize_depth,
    resize_image,
    resize_mask,
)
from bench.data.picture import MAX_PIXELS
from bench.data.view import View
from bench.errors import BenchError

COLOURS = np.array([[[200, 100, 50], [0, 255, 7]], [[9, 8, 7], [255, 255, 255]]], np.uint8)
GREYS = np.array([[0, 50], [128, 255]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "TIFF", "webp", "ppm", "tga"])
def test_lossless_formats_give_the_pixels_that_were_saved(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOURS).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(path), COLOURS)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "jp2", "gif"])
def test_other_formats_are_read_as_rgb(tmp_path, suffix):
    Image.fromarray(np.full((8, 8, 3), 120, np.uint8)).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.shape == (8, 8, 3)
    assert abs(image.astype(int) - 120).max() <= 3


def test_grey_becomes_three_equal_channels(tmp_path):
    Image.fromarray(GREYS).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.repeat(GREYS[:, :, None], 3, axis=2))


def test_alpha_is_dropped_and_the_colour_below_it_kept(tmp_path):
    alpha = np.array([[0, 128], [255, 1]], np.uint8)
    Image.fromarray(np.dstack([COLOURS, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GREYS, alpha]), mode="LA").save(tmp_path / "la.png")
    assert np.array_equal(read_image(tmp_path / "rgba.png"), COLOURS)
    assert np.array_equal(read_image(tmp_path / "la.png")[:, :, 1], GREYS)


def test_a_palette_becomes_its_colours(tmp_path):
    Image.fromarray(COLOURS).quantize(4).save(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png").astype(int) - COLOURS).max() <= 4


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.fromarray(GREYS > 100).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png")[:, :, 0], [[0, 0], [255, 255]])


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_greys_are_scaled_by_a_257th(tmp_path, suffix):
    values = np.array([[0, 128, 129], [257 * 7, 257 * 200 + 100, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read_image(tmp_path / f"a.{suffix}")[:, :, 2], [[0, 0, 1], [7, 200, 255]])


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_sixteen_bit_colour_tiffs_are_read(tmp_path, planarconfig):
    values = COLOURS.astype(np.uint16) * 257
    stored = values if planarconfig == "contig" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planarconfig)
    assert np.array_equal(read_image(tmp_path / "a.tif"), COLOURS)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.float64])
def test_values_of_unknown_range_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(BenchError, match=r"a\.tif .*save it"):
        read_image(tmp_path / "a.tif")


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (4, 8, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BenchError, match=rf"a\.{suffix}"):
        read_image(path)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"II*\0\xff\xff"]
)
def test_what_is_no_image_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BenchError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_a_file_that_is_absent_is_refused(tmp_path):
    with pytest.raises(BenchError, match=r"cannot read .*gone\.png: No such file"):
        read_image(tmp_path / "gone.png")


def _png_claiming(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("width", [MAX_PIXELS // 1000 + 1, 2**30])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width):
    (tmp_path / "a.png").write_bytes(_png_claiming(width, 1000))
    with pytest.raises(BenchError, match="claims more than 150 million pixels"):
        read_image(tmp_path / "a.png")


def test_a_mask_is_true_above_the_middle_or_where_ids_are_not_zero(tmp_path):
    def read(*values, dtype=np.uint8):
        Image.fromarray(np.array([values], dtype)).save(tmp_path / "a.png")
        return read_mask(tmp_path / "a.png")[0].tolist()

    assert read(0, 127, 128, 255) == [False, False, True, True]
    assert read(0, 1, 3, 127) == [False, True, True, True]
    assert read(0, 32767, 32768, dtype=np.uint16) == [False, False, True]


def test_a_colour_mask_counts_its_brightest_channel_and_no_alpha(tmp_path):
    values = np.zeros((1, 3, 4), np.uint8)
    values[0, 0] = (255, 0, 0, 255)
    values[0, 1] = (0, 0, 200, 0)
    values[0, 2] = (0, 0, 0, 255)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[True, True, False]]


def test_a_palette_of_colours_is_a_map_of_ids(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 64, 0, 0])
    image.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[False, True, True]]


def test_a_one_bit_mask_is_read(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[True, False]]


def test_depth_is_the_third_channel_of_xyz_or_the_only_one(tmp_path):
    xyz = np.random.default_rng(0).random((4, 5, 3), dtype=np.float32)
    tifffile.imwrite(tmp_path / "xyz.tiff", xyz)
    tifffile.imwrite(tmp_path / "z.tiff", xyz[:, :, 2])
    assert np.array_equal(read_depth(tmp_path / "xyz.tiff"), xyz[:, :, 2])
    assert np.array_equal(read_depth(tmp_path / "z.tiff"), xyz[:, :, 2])
    Image.fromarray(COLOURS).save(tmp_path / "colour.png")
    with pytest.raises(BenchError, match="has shape 2 x 2 x 3"):
        read_depth(tmp_path / "colour.png")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"rowsperstrip": 4}, {"tile": (16, 16)}])
@pytest.mark.parametrize("lost", [60, 5000])
def test_a_truncated_depth_map_is_refused(tmp_path, options, lost):
    path = tmp_path / "xyz.tiff"
    tifffile.imwrite(path, np.random.default_rng(0).random((32, 32, 3), dtype=np.float32), **options)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(BenchError, match=r"xyz\.tiff cannot be decoded"):
        read_depth(path)


def test_resizing_keeps_one_grey_and_gives_the_size_whatever_the_shape():
    image = np.full((30, 50, 3), 77, np.uint8)
    assert np.array_equal(resize_image(image, 16), np.full((16, 16, 3), 77, np.uint8))


def test_resizing_down_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    inside = resize_image(stripes, 16)[:, 2:-2].astype(int)
    assert np.abs(inside - 127).max() <= 2


def _covered(mask, size):
    """Brute force: every pixel cut into size x size parts, which then belong to whole cells."""
    height, width = mask.shape
    fine = np.repeat(np.repeat(mask, size, axis=0), size, axis=1)
    cells = fine.reshape(size, height, size, width).sum(axis=(1, 3))
    return 2 * cells > height * width


@given(
    arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    st.integers(1, 15),
)
@settings(max_examples=60, deadline=None)
def test_a_mask_is_resized_by_exact_area(mask, size):
    assert np.array_equal(resize_mask(mask, size), _covered(mask, size))


def test_a_cell_that_is_covered_by_half_is_not_in_the_mask():
    assert not resize_mask(np.array([[True, False]]), 1).any()
    assert resize_mask(np.array([[True, False, True]]), 1).all()


def test_depth_means_leave_out_pixels_without_a_measurement():
    depth = np.array([[2.0, 0.0], [4.0, np.nan], [0.0, 0.0], [0.0, np.inf]], np.float32)
    assert resize_depth(depth, 2).tolist() == [[3.0, 0.0], [0.0, 0.0]]


def test_a_text_chunk_bomb_is_refused(tmp_path):
    png = io.BytesIO()
    Image.fromarray(COLOURS).save(png, "PNG")
    bomb = b"zTXt" + b"a\0\0" + zlib.compress(b"\0" * 2_000_000_0)
    chunk = struct.pack(">I", len(bomb) - 4) + bomb + struct.pack(">I", zlib.crc32(bomb))
    data = png.getvalue()
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(BenchError, match=r"a\.png cannot be decoded"):
        read_image(tmp_path / "a.png")


def test_a_large_mask_is_covered_in_bands_with_the_same_result(monkeypatch):
    mask = np.random.default_rng(0).random((90, 70)) > 0.4
    whole = resize_mask(mask, 16)
    monkeypatch.setattr("bench.metrics.masks._BAND", 500)
    assert np.array_equal(resize_mask(mask, 16), whole)


def test_reading_at_a_size_gives_what_reading_and_resizing_give(tmp_path):
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(31, 47), (31, 47, 3), (31, 47, 4)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        for size in (8, 40):
            resized, sides = read_viewed(path, View(size))
            assert np.array_equal(resized, resize_image(read_image(path), size))
            assert sides == (31, 47)


def test_a_large_picture_is_copied_in_bands_with_the_same_pixels(tmp_path, monkeypatch):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    whole = read_image(tmp_path / "a.png")
    monkeypatch.setattr("bench.data.picture._BAND", 200)
    assert np.array_equal(read_image(tmp_path / "a.png"), whole)
