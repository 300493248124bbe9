"""The built-in sample data set: inspection images of parts and materials, rendered by code from a seed.

Every item is a height field with a material under a lamp, seen by a camera, so that colour, depth, mask and
defect type are exact and agree. No file but the code is needed.
"""

from bench.sample.render import Rendered, render
from bench.sample.spec import CATEGORIES, RENDERER_VERSION, SampleItem, SampleSpec, items
from bench.sample.write import write

__all__ = [
    "CATEGORIES",
    "RENDERER_VERSION",
    "Rendered",
    "SampleItem",
    "SampleSpec",
    "items",
    "render",
    "write",
]
