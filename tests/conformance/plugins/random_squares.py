"""An honest generator with randomness, and one deliberate fault by parameter."""

import numpy as np
from pydantic import Field

from bench.errors import BenchError
from bench.methods import Generator, Params, Sample

REMEMBERED = {}


class RandomSquaresParams(Params):
    fault: str = Field("none", description="what to do wrong")
    shade: int = Field(0, description="what sampling alone looks at")


class RandomSquares(Generator):
    """Inverts a square at a random place of a random normal image."""

    name, version, scope = "random_squares", 1, "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    Params = RandomSquaresParams
    presets = {"tiny": {"shade": 255}}
    sampling_params = frozenset({"shade"})

    def fit(self, data, out, ctx):
        learned = {"path in the model": str(out), "learns shade": str(self.params.shade)}
        (out / "model.txt").write_text(learned.get(self.params.fault, "nothing"))
        REMEMBERED["shade"] = self.params.shade

    def sample(self, model, data, request, ctx):
        fault = self.params.fault
        if request.defect != "any" and fault != "makes anything":
            raise BenchError("ask for 'any'")
        if request.category not in data.categories:
            raise BenchError("ask for a category that is there")
        normal = data.categories[request.category].normal
        shared = ctx.rng("shared")
        for index in request.indices:
            rng = shared if fault == "one stream for all" else ctx.rng("sample", index)
            if fault == "ignores its streams":
                rng = np.random.default_rng(index)
            if fault == "one image for all":
                rng = ctx.rng("constant")
            if fault == "global randomness":
                np.random.rand()  # noqa: NPY002 - the fault
            base = normal[int(rng.integers(len(normal)))]
            image, mask = base.copy(), np.zeros(base.shape[:2], dtype=bool)
            top, left_edge = rng.integers(40, size=2)
            if fault != "empty mask":
                mask[top : top + 9, left_edge : left_edge + 9] = True
            shade = REMEMBERED["shade"] if fault == "keeps the model in memory" else self.params.shade
            image[mask] = shade - image[mask]
            if fault == "changes all pixels":
                image = 255 - image
            if fault == "float image":
                image = image.astype(np.float32)
            if fault == "crashes":
                mask = {"mask": mask}["x"]  # the line of the crash
            depth = np.zeros(mask.shape, dtype=np.float32) if fault == "undeclared depth" else None
            yield Sample(image, mask, depth, base)
