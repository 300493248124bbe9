"""A generator that breaks the rule on imports: whoever lists the methods waits for matplotlib."""

import matplotlib.cm as colour_maps

from bench.errors import BenchError
from bench.methods import Generator, Sample


class HeavyImport(Generator):
    """Normal images in false colours."""

    name, version, scope = "heavy_import", 1, "category"
    needs, yields = frozenset({"normal"}), frozenset({"normal"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        (out / "nothing.txt").write_text("nothing to learn")

    def sample(self, model, data, request, ctx):
        if request.defect != "good":
            raise BenchError("heavy_import makes normal images alone; ask for 'good'")
        normal = data.categories[request.category].normal
        for index in request.indices:
            colours = colour_maps.ScalarMappable().to_rgba(
                normal[index % len(normal)].mean(axis=2), bytes=True
            )
            yield Sample(colours[..., :3])
