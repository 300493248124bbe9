"""Textures that need no data set."""

import numpy as np
import pytest

from bench.methods.textures.procedural import FIELDS, procedural_texture
from bench.streams import stream


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_fills_its_range_and_follows_its_stream(name: str) -> None:
    fields = [FIELDS[name]((48, 64), stream(name, i)) for i in range(5)]
    for field in fields:
        assert field.shape == (48, 64)
        assert field.min() >= 0
        assert field.max() <= 1 + 1e-9
        assert field.std() > 0.05
    assert not np.array_equal(fields[0], fields[1])
    assert np.array_equal(fields[0], FIELDS[name]((48, 64), stream(name, 0)))


def test_a_texture_is_of_one_of_the_names_asked_for() -> None:
    # Bands have two values: without grain a texture of them would have two colours, a cloud has hundreds.
    colours = [
        len(np.unique(procedural_texture((64, 64), stream("few", i), ("bands",)).reshape(-1, 3), axis=0))
        for i in range(20)
    ]
    smooth = [
        len(np.unique(procedural_texture((64, 64), stream("few", i), ("clouds",)).reshape(-1, 3), axis=0))
        for i in range(20)
    ]
    assert min(colours) < 20 < min(smooth)


def test_textures_are_images() -> None:
    texture = procedural_texture((32, 40), stream("image"))
    assert (texture.shape, texture.dtype) == ((32, 40, 3), np.uint8)
