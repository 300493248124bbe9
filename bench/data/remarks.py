"""What a file of a picture says and reading does not take: told in its own words, with how much is lost."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.data.picture import SIXTEEN_BITS, PictureFile

if TYPE_CHECKING:
    from PIL import Image


class Remark(NamedTuple):
    """One fact of a file; `what` goes on after the file's name."""

    kind: str
    """A key of `bench.data.problems.WARNINGS`."""
    what: str


def image_remarks(picture: PictureFile) -> Iterator[Remark]:
    """What is not read of an image."""
    if picture.pages > 1:
        yield Remark("pages", f"holds {_many(picture.pages)} pages or frames, of which the first is read")
    if picture.colour_16:
        yield Remark("bits", "holds 16 bits per colour, of which the high 8 are read")
    elif picture.image.mode in (*SIXTEEN_BITS, "I"):
        yield from _bits(picture)
    yield from _transparency(picture.image)
    yield from _colours(picture.image)


def _many(pages: int) -> str:
    return f"{pages} or more" if pages >= 100 else str(pages)


def _bits(picture: PictureFile) -> Iterator[Remark]:
    """The grey levels that 8 bits cannot tell apart."""
    occurs = np.zeros(65536, bool)
    for _, values in picture.bands():
        occurs[np.minimum(values.ravel(), 65535)] = True
    levels = np.flatnonzero(occurs)
    unit = 65535 / 255 if picture.bits > 15 else ((1 << picture.bits) - 1) / 255
    after = len(np.unique(np.round(levels / unit)))
    if after == len(levels):
        return
    what = f"holds {picture.bits} bits, of which 8 are read: {len(levels)} grey levels become {after}"
    if picture.bits > 15 and levels[-1] < 16384:
        what += f"; its brightest value is {levels[-1]} of 65535, stretch it before you save it with 8 bits"
    yield Remark("bits", what)


def _transparency(image: "Image.Image") -> Iterator[Remark]:
    share = transparent_share(image)
    if share:
        what = f"is transparent in {share:.1%} of its pixels, of which the colour below is read"
        yield Remark("transparency", what)


def transparent_share(image: "Image.Image") -> float:
    """The share of pixels that are not opaque."""
    alpha = alpha_of(image)
    if alpha is None or alpha.getextrema()[0] == 255:
        return 0.0
    return 1 - alpha.histogram()[255] / (image.width * image.height)


def alpha_of(image: "Image.Image") -> "Image.Image | None":
    """The channel of opacity, "L", where the file has one."""
    if image.mode in ("LA", "RGBA", "PA", "RGBa", "La"):
        return image.getchannel(len(image.getbands()) - 1)
    if "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        return image.convert("RGBA").getchannel("A")
    return None


def _colours(image: "Image.Image") -> Iterator[Remark]:
    if image.mode in ("CMYK", "LAB", "HSV"):
        yield Remark("colours", f"has the colours of {image.mode}, which are turned into RGB by a plain rule")
    elif image.mode == "RGBX":
        yield Remark("colours", "has more than three channels, of which the first three are read")
    name = _profile(image.info.get("icc_profile"))
    if name and "srgb" not in name.lower():
        yield Remark("colours", f"has the colour profile '{name}', which is not applied")


def _profile(profile: object) -> str:
    if not isinstance(profile, bytes):
        return ""
    import io

    try:
        from PIL import ImageCms

        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except Exception:  # of a damaged profile, or of a Pillow without the library
        return "of unknown name"
    return "".join(letter for letter in name if letter.isprintable()).strip()[:60] or "of unknown name"
