"""Perlin noise, and masks from it as DRAEM draws them."""

import numpy as np
from PIL import Image


def perlin_mask(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    octaves: int = 5,
    rotation: float = 90.0,
    threshold: float = 0.5,
) -> np.ndarray:
    """Noise above `threshold`, bool [H, W]; it may be empty.

    Zavrtanik et al., ICCV 2021, section 3.3: 2 to a power in 0..`octaves` cells along each axis, the noise
    turned by +-`rotation` degrees before it is cut off.
    """
    cells = 2 ** rng.integers(0, octaves + 1, size=2)
    noise = Image.fromarray(perlin_noise(size, (int(cells[0]), int(cells[1])), rng))
    angle = rng.uniform(-rotation, rotation)
    return np.asarray(noise.rotate(angle, Image.Resampling.BILINEAR)) > threshold


def perlin_noise(size: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Gradient noise of Perlin (SIGGRAPH 1985), float32 [H, W] within [-1, 1], with `cells` lattice cells."""
    angles = rng.uniform(0, 2 * np.pi, size=(cells[0] + 1, cells[1] + 1))
    gradient_y, gradient_x = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
    y = (np.arange(size[0], dtype=np.float32) * cells[0] / size[0])[:, None]
    x = (np.arange(size[1], dtype=np.float32) * cells[1] / size[1])[None, :]
    row, column = y.astype(int), x.astype(int)
    dy, dx = y - row, x - column

    def corner(down: int, right: int) -> np.ndarray:
        at = (row + down, column + right)
        return gradient_y[at] * (dy - down) + gradient_x[at] * (dx - right)  # (H, W)

    def fade(t: np.ndarray) -> np.ndarray:
        return t**3 * (t * (t * 6 - 15) + 10)

    upper = corner(0, 0) + fade(dx) * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade(dx) * (corner(1, 1) - corner(1, 0))
    return (np.sqrt(2, dtype=np.float32) * (upper + fade(dy) * (lower - upper))).astype(np.float32)
