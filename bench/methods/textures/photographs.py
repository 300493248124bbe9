"""Textures to lay into an image: photographs under three random changes, as DRAEM augments its source.

DRAEM (Zavrtanik, Kristan, Skocaj, ICCV 2021, section 3.3) draws three of a set of photometric and geometric
operations, without replacement. Pixel values are uint8 [H, W, 3] throughout.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Operation = Callable[[Image.Image, np.random.Generator], Image.Image]
LEVELS = np.arange(256)
DTD_COUNT = 5640
"""Images of the Describable Textures Dataset r1.0.1 (Cimpoi et al., CVPR 2014): 47 classes of 120."""


def _curve(image: Image.Image, per_channel: Sequence[np.ndarray]) -> Image.Image:
    table = np.concatenate([np.clip(np.rint(curve), 0, 255) for curve in per_channel])
    return image.point(table.astype(int).tolist())


def gamma(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return _curve(image, [255 * (LEVELS / 255) ** g for g in rng.uniform(0.5, 2.0, size=3)])


def brightness(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor, offset = rng.uniform(0.8, 1.2), rng.uniform(-30, 30)
    return _curve(image, [LEVELS * factor + offset] * 3)


def sharpness(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(rng.uniform(0.1, 1.9))


def hue_and_saturation(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    turn, more = rng.integers(-50, 51, size=2)
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point(((LEVELS + turn) % 256).tolist())
    saturation = saturation.point(np.clip(LEVELS + more, 0, 255).tolist())
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def solarize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    # As in imgaug's Solarize(0.5): half of the time nothing happens.
    threshold = int(rng.integers(32, 129))
    return ImageOps.solarize(image, threshold) if rng.random() < 0.5 else image


def posterize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.posterize(image, int(rng.integers(1, 9)))


def invert(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.invert(image)


def autocontrast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.autocontrast(image, cutoff=rng.uniform(0, 20))


def equalize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.equalize(image)


def rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.rotate(rng.uniform(-45, 45), Image.Resampling.BILINEAR)


OPERATIONS: tuple[Operation, ...] = (
    gamma,
    brightness,
    sharpness,
    hue_and_saturation,
    solarize,
    posterize,
    invert,
    autocontrast,
    equalize,
    rotate,
)


def augmented(
    image: np.ndarray,
    rng: np.random.Generator,
    count: int = 3,
    operations: Sequence[Operation] = OPERATIONS,
) -> np.ndarray:
    """The image under `count` different `operations`, in random order."""
    changed = Image.fromarray(image)
    for chosen in rng.permutation(len(operations))[:count]:
        changed = operations[chosen](changed, rng)
    return np.asarray(changed)


def find_dtd(weights: Path | None) -> tuple[list[Path], str | None]:
    """The images of DTD under `weights`/dtd in a fixed order, and what is wrong in one sentence, or None.

    The whole data set is asked for, since the parameter that names it must mean the same everywhere.
    """
    if weights is None:
        return (
            [],
            "textures 'dtd' needs a folder of local weights with DTD in it, dtd/images/*/*.jpg; none is set",
        )
    folder = weights / "dtd" / "images"
    if not folder.is_dir():
        folder = weights / "dtd"
    images = sorted(folder.glob("*/*.jpg"), key=lambda path: (path.parent.name, path.name))
    if len(images) != DTD_COUNT:
        return [], (
            f"textures 'dtd' needs DTD r1.0.1 in {weights / 'dtd'} (images/*/*.jpg, {DTD_COUNT} images), "
            f"and {len(images)} are there; unpack dtd-r1.0.1.tar.gz there, or use other textures"
        )
    return images, None


def photograph(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The image in the file `path`, uint8 [H, W, 3], brought to `size` (H, W)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))
