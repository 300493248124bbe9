"""The built-in generators pass the suite, and generators that break the interface do not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from bench.conformance.generator import (
    CHECKS,
    Nonconformance,
    Trial,
    check_light_import,
    run_checks,
)
from bench.errors import BenchError
from bench.methods import Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.augmented_normals import AugmentedNormals
from generators.crop_paste import CropPaste
from generators.cutpaste import CutPaste
from generators.perlin import Perlin

BUILT_IN = [AugmentedNormals, CropPaste, CutPaste, Perlin]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[type[Generator], Trial]:
    return {cls: Trial(cls, tmp_path_factory.mktemp(cls.name)) for cls in BUILT_IN}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: cls.name)
def test_a_built_in_generator_conforms(trials, cls, check) -> None:
    check(trials[cls])


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: cls.name)
def test_a_built_in_generator_imports_without_torch(cls: type[Generator]) -> None:
    check_light_import(cls.__module__)


@pytest.mark.parametrize("placement", ["same-place", "similar", "natural"])
def test_crop_paste_conforms_with_every_placement_and_a_feather(tmp_path: Path, placement: str) -> None:
    options = {"placement": placement, "feather": 1, "match": "ring"}
    results = run_checks(Trial(CropPaste, tmp_path, overrides=options, outside=2))
    assert [result for result in results if result.status != "ok"] == []


class BrokenParams(Params):
    fault: str = Field("none", description="what to do wrong")
    shade: int = Field(0, description="what sampling alone looks at")


class Broken(Generator):
    """A generator that does one thing wrong, by parameter."""

    name = "broken"
    version = 1
    scope = "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    Params = BrokenParams
    presets = {"tiny": {"shade": 255}}
    sampling_params = frozenset({"shade"})
    params: BrokenParams

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        content = {"path": str(out), "shade": str(self.params.shade)}.get(self.params.fault, "nothing")
        (out / "model.txt").write_text(content)

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        fault = self.params.fault
        if request.defect != "any" and fault != "anything":
            raise BenchError("ask for 'any'")
        if request.category not in data.categories:
            raise BenchError("ask for a category that is there")
        normal = data.categories[request.category].normal
        shared = ctx.rng("shared")
        for index in request.indices:
            rng = shared if fault == "sequence" else ctx.rng("sample", index)
            if fault == "seed":
                rng = np.random.default_rng(index)
            if fault == "constant":
                rng = ctx.rng("constant")
            if fault == "global":
                np.random.rand()  # noqa: NPY002 - the fault to be found
            base = normal[int(rng.integers(len(normal)))]
            image, mask = base.copy(), np.zeros(base.shape[:2], dtype=bool)
            top, left = rng.integers(40, size=2)
            if fault != "empty":
                mask[top : top + 9, left : left + 9] = True
            image[mask] = self.params.shade - image[mask]
            if fault == "outside":
                image = 255 - image
            if fault == "dtype":
                image = image.astype(np.float32)
            depth = np.zeros(mask.shape, dtype=np.float32) if fault == "depth" else None
            yield Sample(image, mask, depth, base)


FAULTS = {
    "dtype": "gives_valid_samples",
    "empty": "gives_valid_samples",
    "sequence": "depends_on_the_index_alone",
    "constant": "samples_differ",
    "path": "same_seed_same_bytes",
    "shade": "learns_without_sampling_params",
    "seed": "another_seed_differs",
    "global": "leaves_global_randomness",
    "anything": "yields_what_it_says",
    "depth": "yields_what_it_says",
    "outside": "changes_the_mask_alone",
}


def test_a_right_generator_passes_every_check(tmp_path: Path) -> None:
    assert {result.status for result in run_checks(Trial(Broken, tmp_path))} == {"ok"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_the_check_for_it(tmp_path: Path, fault: str) -> None:
    results = run_checks(Trial(Broken, tmp_path, overrides={"fault": fault}))
    failed = {result.check: result.note for result in results if result.status == "failed"}
    assert FAULTS[fault] in failed
    assert "\n" not in failed[FAULTS[fault]]


def test_a_generator_that_misses_weights_is_skipped_with_the_reason(tmp_path: Path) -> None:
    results = run_checks(Trial(Perlin, tmp_path, overrides={"textures": "dtd"}))
    assert {result.status for result in results} == {"skipped"}
    assert all("dtd" in result.note for result in results)


def test_a_heavy_import_is_found() -> None:
    with pytest.raises(Nonconformance, match="loads matplotlib"):
        check_light_import("matplotlib.colors")
