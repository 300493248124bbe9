"""An honest generator without randomness: image i darkens square i of normal image i."""

import numpy as np

from bench.errors import BenchError
from bench.methods import Generator, Sample


class InTurn(Generator):
    """Goes through the normal images and through the squares of a grid, both in order."""

    name, version, scope = "in_turn", 1, "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        (out / "nothing.txt").write_text("nothing to learn")

    def sample(self, model, data, request, ctx):
        if request.defect != "any":
            raise BenchError(f"in_turn knows no defect type '{request.defect}'; ask for 'any'")
        normal = data.categories[request.category].normal
        side = data.resolution // 4
        for index in request.indices:
            base = normal[index % len(normal)]
            row, column = divmod(index % 16, 4)
            mask = np.zeros(base.shape[:2], bool)
            mask[row * side : (row + 1) * side, column * side : (column + 1) * side] = True
            image = base.copy()
            image[mask] //= 2
            yield Sample(image, mask, base=base)
