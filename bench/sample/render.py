"""One item of the sample data set: build the scene, damage it, photograph it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.sample.spec import SampleItem, SampleSpec, check

FIELD_OF_VIEW = 0.06  # metres that the image shows, at the height 0
DISTANCE = 0.35  # metres from the camera to the height 0
_FINEST = 128  # smaller images are rendered at least this large and averaged down


@dataclass(frozen=True)
class Rendered:
    """An item: `image` uint8 [H, W, 3] sRGB, `mask` bool [H, W], `depth` float32 [H, W] in metres."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    depth: NDArray[np.float32]


def render(spec: SampleSpec, category: str, split: str, defect: str, index: int) -> Rendered:
    """Item `index` of a category's split and defect type ("good" for none).

    Depends on the seed, the size and these arguments alone, not on the counts of the spec; another size
    shows the same scene. Raises ValueError for an item that does not exist.
    """
    item = SampleItem(category, split, defect, index)
    check(item)
    return photograph(spec, item, damaged=defect != "good")


def photograph(spec: SampleSpec, item: SampleItem, damaged: bool) -> Rendered:
    """The item, or with `damaged` False the very same part, lamp and shot before it was damaged."""
    from bench.sample.camera import draw_camera, expose
    from bench.sample.damage import KINDS, changed
    from bench.sample.dust import settle
    from bench.sample.noise import stream
    from bench.sample.shading import shade
    from bench.sample.surface import make_frame

    def draw(name: str) -> np.random.Generator:
        return stream("sample", spec.seed, *dataclasses.astuple(item), name)

    finer = -(-_FINEST // spec.size)
    part: Any = _category(item.category)
    pose = draw("pose")
    turn, scale, shift = part.POSE
    angle, zoom = float(pose.uniform(-turn, turn)), math.exp(pose.uniform(-scale, scale))
    dx, dy = (float(s) for s in pose.uniform(-shift, shift, 2))
    posed = (angle, zoom, dx, dy)
    frame = make_frame(spec.size * finer, 1 / spec.size, posed)
    scene = part.build(frame, draw("part"), None)
    surface = scene.surface
    mask = np.zeros(surface.height.shape, bool)
    if damaged:
        if item.defect == "missing_part":
            surface = part.build(frame, draw("part"), draw("defect")).surface
        else:
            surface = KINDS[item.defect](scene, frame, draw("defect"), part.WEAR)
        mask = changed(scene.surface, surface)
    lamp = draw("lamp")
    rig = dataclasses.replace(
        part.RIG,
        azimuth=part.RIG.azimuth + lamp.normal(0, 0.06),
        elevation=part.RIG.elevation + lamp.normal(0, 0.03),
        key=part.RIG.key * math.exp(lamp.normal(0, 0.05)),
    )
    light = shade(settle(surface, frame, draw("dust")), frame, rig)
    depth = DISTANCE - surface.height * np.float32(FIELD_OF_VIEW)
    shots = draw("camera")
    if finer > 1:
        light, depth = _mean(light, finer), _mean(depth, finer)
        mask = _mean(mask.astype(np.float32), finer) > 0.3
        frame = make_frame(spec.size, 1 / spec.size, posed)
    image = expose(light, frame, draw_camera(shots), shots)
    return Rendered(image, mask, depth.astype(np.float32))


def _category(name: str) -> ModuleType:
    return import_module(f"bench.sample.categories.{name}")


def _mean(field: NDArray[Any], by: int) -> NDArray[Any]:
    """Blocks of `by` x `by` averaged."""
    h, w = field.shape[0] // by, field.shape[1] // by
    return field.reshape(h, by, w, by, *field.shape[2:]).mean((1, 3))
