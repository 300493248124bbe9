"""Harmless dirt on good and bad parts alike: specks and lint. Never in a mask."""

from __future__ import annotations

import numpy as np

from bench.sample.shapes import FAR, Path, stroke_field, walk
from bench.sample.surface import Frame, Surface, blend, smooth


def settle(surface: Surface, frame: Frame, rng: np.random.Generator) -> Surface:
    """The surface with a few specks of dust and, now and then, a fibre of lint."""
    paths = []
    for _ in range(int(rng.poisson(5))):
        point = rng.random(2)
        paths.append(Path(np.stack([point, point + rng.normal(0, 0.001, 2)]), rng.uniform(0.001, 0.0024, 2)))
    if rng.random() < 0.3:
        start = (float(rng.random()), float(rng.random()))
        paths.append(walk(rng, start, rng.uniform(0, 7), rng.uniform(0.02, 0.06), 0.0011, 0.35, 10))
    tone = rng.uniform(0.1, 0.5)
    if not paths:
        return surface
    q, thin = stroke_field(frame, paths)
    cover = smooth(1, 0.4, np.minimum(q, FAR)) * thin * np.float32(rng.uniform(0.35, 0.8))
    return surface.with_(
        height=surface.height + np.float32(0.0008) * cover,
        albedo=blend(surface.albedo, np.float32(tone), cover[..., None]),
        metal=surface.metal * (1 - cover),
        specular=surface.specular * (1 - cover),
    )
