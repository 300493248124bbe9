import numpy as np

from bench.streams import stream
from generators.foreground import foreground


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_an_object_on_a_plain_background_is_found() -> None:
    y, x = np.mgrid[:128, :128]
    disc = (y - 60) ** 2 + (x - 70) ** 2 < 40**2
    image = np.where(disc[..., None], (180, 60, 60), (30, 30, 30)) + stream("a").normal(0, 3, (128, 128, 3))
    assert agreement(foreground(image.astype(np.uint8)), disc) > 0.9


def test_a_dark_object_with_a_hole_is_found_whole() -> None:
    y, x = np.mgrid[:128, :128]
    radius = np.hypot(y - 64, x - 64)
    ring = (radius < 45) & (radius > 15)
    image = np.where(ring[..., None], 40, 220) * np.ones(3)
    assert agreement(foreground(image.astype(np.uint8)), radius < 45) > 0.9


def test_a_texture_is_foreground_everywhere() -> None:
    texture = stream("a").integers(0, 256, (16, 16, 3)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    assert foreground(texture).all()


def test_an_image_of_one_colour_is_foreground_everywhere() -> None:
    assert foreground(np.full((40, 60, 3), 77, np.uint8)).shape == (40, 60)
    assert foreground(np.full((40, 60, 3), 77, np.uint8)).all()
