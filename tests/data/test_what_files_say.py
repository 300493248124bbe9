"""What a file says beside its first grey page: read right, refused, or warned of with how much is lost."""

import re

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from bench.data.images import read_depth, read_image, read_mask
from bench.data.mask_file import mask_remarks, mask_values
from bench.data.picture import load_picture
from bench.data.remarks import image_remarks
from bench.errors import BenchError
from bench.ingestion.predictions import read_map

SPOT = np.zeros((16, 24), bool)
SPOT[4:10, 6:12] = True
GREY = (np.arange(16 * 24).reshape(16, 24) % 251).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def remarks_of_image(path):
    return list(image_remarks(load_picture(path.read_bytes(), path)))


def remarks_of_mask(path):
    picture = load_picture(path.read_bytes(), path)
    return list(mask_remarks(picture, mask_values(picture)))


def spot(*, on=255, off=0, dtype=np.uint8):
    return np.where(SPOT, on, off).astype(dtype)


def coloured(spots, background=(0, 0, 0)):
    """A mask whose spot has these colours, in stripes."""
    values = np.empty((16, 24, 3), np.uint8)
    values[:] = background
    for number, colour in enumerate(spots):
        values[4:10, 6 + 3 * number : 9 + 3 * number] = colour
    return values


def palette(indices, colours):
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette([value for colour in colours for value in colour])
    return image


def white_is_zero(path, values):
    tifffile.imwrite(path, values, photometric="miniswhite")


READ_RIGHT = {
    "8 bits": lambda p: Image.fromarray(spot()).save(p / "a.png"),
    "1 bit": lambda p: Image.fromarray(SPOT).save(p / "a.png"),
    "one id": lambda p: Image.fromarray(spot(on=1)).save(p / "a.png"),
    "16 bits": lambda p: Image.fromarray(spot(on=65535, dtype=np.uint16)).save(p / "a.png"),
    "8 bits in 16": lambda p: Image.fromarray(spot(on=255, dtype=np.uint16)).save(p / "a.png"),
    "white is zero": lambda p: white_is_zero(p / "a.tif", spot(on=0, off=255)),
    "white is zero at 16 bits": lambda p: white_is_zero(p / "a.tif", spot(on=0, off=65535, dtype=np.uint16)),
    "white is zero at 1 bit": lambda p: tifffile.imwrite(p / "a.tif", ~SPOT, photometric="miniswhite"),
    "dark colour": lambda p: Image.fromarray(coloured([(64, 0, 0)] * 2)).save(p / "a.png"),
    "two colours": lambda p: Image.fromarray(coloured([(64, 0, 0), (0, 192, 0)])).save(p / "a.png"),
    "palette": lambda p: palette(spot(on=1), [(0, 0, 0), (128, 0, 0)]).save(p / "a.png"),
    "palette of two classes": lambda p: palette(
        spot(on=1) + (SPOT & (np.arange(24) > 8)), [(0, 0, 0), (90, 0, 0), (0, 64, 0)]
    ).save(p / "a.png"),
    "opaque": lambda p: Image.fromarray(np.dstack([spot()] * 3 + [spot(off=255)])).save(p / "a.png"),
    "transparent background": lambda p: Image.fromarray(np.dstack([spot()] * 4)).save(p / "a.png"),
    "thumbnail behind": lambda p: thumbnail_behind(p / "a.tif"),
}


def thumbnail_behind(path):
    with tifffile.TiffWriter(path) as file:
        file.write(spot())
        file.write(spot()[::2, ::2], subfiletype=1)


@pytest.mark.parametrize("kind", READ_RIGHT)
def test_a_mask_is_read_right(tmp_path, kind):
    READ_RIGHT[kind](tmp_path)
    (path,) = tmp_path.iterdir()
    assert np.array_equal(read_mask(path), SPOT)


def ids(*values):
    """Two halves of the spot with these values."""
    dtype = np.uint8 if max(values) < 256 else np.uint16
    return np.where(SPOT & (np.arange(24) > 8), values[1], np.where(SPOT, values[0], 0)).astype(dtype)


REFUSED = {
    "pages": (
        lambda p: tifffile.imwrite(p / "a.tif", np.stack([spot()] * 3), photometric="minisblack"),
        "holds 3 pages or frames, and one would be read",
    ),
    "frames of a GIF": (
        lambda p: Image.fromarray(spot()).save(
            p / "a.gif", save_all=True, append_images=[Image.fromarray(spot(on=9))]
        ),
        "holds 2 pages or frames",
    ),
    "frames of a PNG": (
        lambda p: Image.fromarray(spot()).save(
            p / "a.png", save_all=True, append_images=[Image.fromarray(spot(on=9))]
        ),
        "holds 2 pages or frames",
    ),
    "ids beside what to ignore": (
        lambda p: Image.fromarray(ids(1, 255)).save(p / "a.png"),
        "the class ids 1 beside 255, which may mark what to ignore",
    ),
    "a small id beside much to ignore": (
        lambda p: Image.fromarray(np.where(np.arange(24) > 9, 255, ids(1, 1)).astype(np.uint8)).save(
            p / "a.png"
        ),
        "the class ids 1 beside 255",
    ),
    "ids beside what to ignore, with a palette": (
        lambda p: palette(ids(1, 255), [(i, 255 - i, 9) if i else (0, 0, 0) for i in range(256)]).save(
            p / "a.png"
        ),
        "the class ids 1 beside 255",
    ),
    "ids beside what to ignore at 16 bits": (
        lambda p: Image.fromarray(ids(3, 65535)).save(p / "a.png"),
        "the class ids 3 beside 65535",
    ),
    "transparency alone": (
        lambda p: Image.fromarray(np.dstack([np.full_like(spot(), 255)] * 3 + [spot()])).save(p / "a.png"),
        "differs in transparency alone, which is not read",
    ),
    "a white background of colours": (
        lambda p: Image.fromarray(coloured([(255, 0, 0), (0, 0, 255)], (255, 255, 255))).save(p / "a.png"),
        "of which none is known to be the background",
    ),
    "a photograph": (
        lambda p: Image.fromarray(
            np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        ).save(p / "a.png"),
        "more than 1024 colours, as a photograph does",
    ),
    "16 bits per colour": (
        lambda p: tifffile.imwrite(p / "a.tif", np.dstack([spot(dtype=np.uint16)] * 3), photometric="rgb"),
        "holds 16 bits per colour",
    ),
    "floating point": (
        lambda p: tifffile.imwrite(p / "a.tif", spot(on=1, dtype=np.float32)),
        "floating-point",
    ),
    "signed": (lambda p: tifffile.imwrite(p / "a.tif", spot(on=1, dtype=np.int16)), "signed or 32-bit"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_mask_that_could_mean_two_things_is_refused(tmp_path, kind):
    write, sentence = REFUSED[kind]
    write(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(BenchError, match=sentence):
        read_mask(path)


def transparent_marks():
    return np.dstack([spot()] * 3 + [spot(on=0, off=255) | (np.arange(24) > 8).astype(np.uint8) * 255])


MASK_WARNINGS = {
    "classes": (ids(100, 255), "mask-classes", r"the value 100 \(18 pixels\), as classes; .*18 of 36 pixels"),
    "ids": (ids(1, 2), "mask-ids", "no value above 2, as class ids; all but 0 is taken as defect"),
    "inverted": (spot(on=0, off=255), "inverted-mask", "marks 90.6% of its pixels and its whole border"),
    "everything": (np.full((16, 24), 255, np.uint8), "full-mask", "every pixel"),
    "colours": (coloured([(255, 0, 0), (0, 0, 255)]), "mask-colours", "holds 2 colours .*each is taken"),
    "transparent": (transparent_marks(), "transparency", "marks 18 pixels that are transparent, of 36"),
}


@pytest.mark.parametrize("kind", MASK_WARNINGS)
def test_what_is_doubtful_in_a_mask_is_warned_of_with_how_much_is_lost(tmp_path, kind):
    values, name, sentence = MASK_WARNINGS[kind]
    Image.fromarray(values).save(tmp_path / "a.png")
    (remark,) = remarks_of_mask(tmp_path / "a.png")
    assert remark.kind == name
    assert re.search(sentence, remark.what)


def test_soft_edges_are_values_and_not_classes(tmp_path):
    values = spot()
    values[4:10, 5], values[4:10, 12] = 90, 180
    Image.fromarray(values).save(tmp_path / "a.png")
    (remark,) = remarks_of_mask(tmp_path / "a.png")
    assert remark == (
        "mask-values",
        "holds 2 values between 0 and 255; above 127 is taken as defect, "
        "and 6 of 48 pixels that are not 0 are not",
    )


def twelve_bits(path):
    """White is 4095; Pillow knows such files and gives them as 16 bits."""
    values = np.tile(np.array([0, 2048, 4095, 1000], np.uint16), (2, 1))
    packed = bytearray()
    for row in values:
        for first, second in row.reshape(-1, 2):
            packed += bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    entries = [(256, 3, 4), (257, 3, 2), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 122), (277, 3, 1)]
    entries += [(278, 3, 2), (279, 4, len(packed))]
    header = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, kind, value in entries:
        header += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        header += value.to_bytes(4, "little")
    path.write_bytes((header + bytes(4)).ljust(122, b"\0") + bytes(packed))


def test_twelve_bits_are_read_by_their_own_range(tmp_path):
    twelve_bits(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 128, 255, 62]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_whose_zero_is_white_is_read_so(tmp_path, dtype):
    top = np.iinfo(dtype).max
    tifffile.imwrite(tmp_path / "a.tif", (GREY.astype(dtype) * (top // 255)), photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif")[:, :, 0], 255 - GREY)


def profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


IMAGE_WARNINGS = {
    "pages": (
        lambda p: tifffile.imwrite(p / "a.tif", np.stack([GREY] * 3), photometric="minisblack"),
        [("pages", "holds 3 pages or frames, of which the first is read")],
    ),
    "frames": (
        lambda p: Image.fromarray(COLOUR).save(
            p / "a.webp", save_all=True, append_images=[Image.fromarray(COLOUR[::-1])], lossless=True
        ),
        [("pages", "holds 2 pages or frames, of which the first is read")],
    ),
    "12 of 16 bits": (
        lambda p: Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(p / "a.png"),
        [
            (
                "bits",
                "holds 16 bits, of which 8 are read: 4096 grey levels become 17; its brightest value is 4095 "
                "of 65535, stretch it before you save it with 8 bits",
            )
        ],
    ),
    "8 bits in 16": (lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p / "a.png"), []),
    "16 bits per colour": (
        lambda p: tifffile.imwrite(p / "a.tif", COLOUR.astype(np.uint16) * 257, photometric="rgb"),
        [("bits", "holds 16 bits per colour, of which the high 8 are read")],
    ),
    "transparency": (
        lambda p: Image.fromarray(np.dstack([COLOUR, spot(on=0, off=255)])).save(p / "a.png"),
        [("transparency", "is transparent in 9.4% of its pixels, of which the colour below is read")],
    ),
    "opaque": (lambda p: Image.fromarray(np.dstack([COLOUR, spot(on=255, off=255)])).save(p / "a.png"), []),
    "print colours": (
        lambda p: Image.fromarray(COLOUR).convert("CMYK").save(p / "a.tif"),
        [("colours", "has the colours of CMYK, which are turned into RGB by a plain rule")],
    ),
    "profile": (
        lambda p: Image.fromarray(COLOUR).save(p / "a.png", icc_profile=profile()),
        [("colours", "has the colour profile 'Lab identity built-in', which is not applied")],
    ),
    "usual profile": (lambda p: Image.fromarray(COLOUR).save(p / "a.png", icc_profile=srgb()), []),
}


@pytest.mark.parametrize("kind", IMAGE_WARNINGS)
def test_what_is_not_read_of_an_image_is_told(tmp_path, kind):
    write, expected = IMAGE_WARNINGS[kind]
    write(tmp_path)
    (path,) = tmp_path.iterdir()
    assert remarks_of_image(path) == expected


def test_depth_in_pages_or_by_a_palette_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((3, 8, 9), np.float32), photometric="minisblack")
    with pytest.raises(BenchError, match="holds 3 pages, and one would be read"):
        read_depth(tmp_path / "a.tif")
    palette(GREY, [(i, i, i) for i in range(256)]).save(tmp_path / "a.png")
    with pytest.raises(BenchError, match="has a palette"):
        read_depth(tmp_path / "a.png")


def test_a_map_whose_zero_is_white_is_read_so_and_one_of_pages_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.uint16) * 257, photometric="miniswhite")
    assert np.allclose(read_map(tmp_path / "a.tif"), (255 - GREY.astype(float)) / 255)
    tifffile.imwrite(tmp_path / "b.tif", np.stack([GREY] * 2), photometric="minisblack")
    with pytest.raises(BenchError, match="holds 2 pages"):
        read_map(tmp_path / "b.tif")


def test_a_few_dark_pixels_beside_255_are_no_class(tmp_path):
    values = spot()
    values[0, 0] = 3
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), SPOT)
    assert [remark.kind for remark in remarks_of_mask(tmp_path / "a.png")] == ["mask-values"]
