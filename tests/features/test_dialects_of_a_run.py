"""The dialects of IC-LPIPS and KID as stages record them, against the functions of the library."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from bench.data.build import build_pool
from bench.data.layout import Item
from bench.data.pool import Pool, open_pool
from bench.data.view import View
from bench.features import profile
from bench.metrics import ic_lpips, kid
from bench.record.record import Record
from bench.stages.features import PerceptualFeatures
from bench.stages.generation_records import ImageFeatures, ic_lpips_records, set_records
from bench.stages.stage import Output, StageRun

SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools")


@pytest.fixture(scope="module")
def files(folder: Path, images) -> list[tuple[Item, str]]:
    """Three real defects of 120 pixels, as files with masks."""
    pairs = []
    for number, image in enumerate(images(3, 120, seed=9)):
        mask = np.zeros((120, 120), np.uint8)
        mask[20:90, 30:80] = 255
        paths = [folder / f"{number}{part}.png" for part in ("", "_mask")]
        for path, values in zip(paths, (image, mask), strict=True):
            Image.fromarray(values).save(path)
        pairs.append((Item(paths[0], paths[1], None, str(number)), "dent"))
    return pairs


@pytest.fixture(scope="module")
def folders(folder: Path, files, images) -> dict[str, Output]:
    """Pools of the real defects, bilinear and by the nearest pixel, and of six generated ones."""
    build_pool(files, folder / "base", View(SIDE), workers=1)
    build_pool(files, folder / "nearest", View(SIDE), workers=1, filter="nearest")
    generated = folder / "generated"
    generated.mkdir()
    np.save(generated / "images.npy", images(6, SIDE, seed=8))
    masks = np.zeros((6, SIDE, SIDE), bool)
    masks[:, 8:28, 10:26] = True
    np.save(generated / "masks.npy", masks)
    (generated / "index.json").write_text(json.dumps([{"defect": "dent", "stem": str(n)} for n in range(6)]))
    return {name: Output(folder / name, {}) for name in ("base", "nearest", "generated")}


def results(folders: dict[str, Output], weights: Path, out: Path, dialects: list[str] | None) -> dict:
    params = {"features": "canonical", "weights": "", "category": "bolt"}
    if dialects is not None:
        params["dialects"] = dialects
    out.mkdir()
    context = SimpleNamespace(weights=weights, device="cpu", progress=lambda *_: None)
    PerceptualFeatures(**folders).run(StageRun(params, "", out, out, context))
    return json.loads((out / "ic_lpips.json").read_text())


@pytest.fixture(scope="module")
def report(folders, folder, random_weights) -> dict:
    return results(folders, random_weights, folder / "all", ["default", "ojha", "seas", "dfmgan"])


def pictures(folder: Output) -> np.ndarray:
    pool: Pool = open_pool(folder.folder)
    return np.asarray(pool.images)


def test_centres_of_seas_are_torchs_nearest_pixel(folders, files):
    for row, (item, _) in enumerate(files):
        plain = torch.from_numpy(np.array(Image.open(item.path))).permute(2, 0, 1)[None].float() / 255
        resized = functional.interpolate(plain, size=(SIDE, SIDE), mode="nearest").mul(255).byte()
        assert (pictures(folders["nearest"])[row] == resized[0].permute(1, 2, 0).numpy()).all()
    assert (pictures(folders["nearest"]) != pictures(folders["base"])).any()


def test_a_run_gives_the_librarys_numbers_in_every_dialect_and_changes_none_of_the_default(
    report, folders, files, random_weights, tmp_path
):
    of_type = report["dent"]
    generated, base = pictures(folders["generated"]), pictures(folders["base"])
    originals = np.stack([np.array(Image.open(item.path)) for item, _ in files])
    networks = profile("canonical", random_weights)
    for dialect in ("default", "ojha", "seas", "dfmgan"):
        real = originals if dialect == "seas" else base
        value = ic_lpips(generated, real, dialect=dialect, profile=networks).value
        key = "ic_lpips" if dialect == "default" else f"ic_lpips@{dialect}"
        assert of_type[key]["value"] == pytest.approx(value, rel=1e-6)
    assert of_type["ic_lpips@dfmgan"]["network"] == "lpips-alex"
    assert len({round(result["value"], 5) for result in of_type.values()}) > 4
    inputs = {name: folders[name] for name in ("base", "generated")}
    (by_default,) = results(inputs, random_weights, tmp_path / "alone", None).values()
    assert set(by_default) == {"ic_lpips", "ic_lpips_a"}
    for key, result in by_default.items():
        assert {name: value for name, value in of_type[key].items() if name != "weights"} == result


def test_a_record_states_the_network_and_the_weights_of_its_dialect_alone(report):
    template = Record(level="generation", weights_sha256="all")
    records = {
        (record.metric, record.dialect): record
        for record in ic_lpips_records(template, report)
        if record.defect == "dent"
    }
    default, dfmgan = records["ic_lpips", "default"], records["ic_lpips", "dfmgan"]
    assert (default.features, dfmgan.features) == ("lpips-vgg", "lpips-alex")
    assert default.weights_sha256.count(",") == dfmgan.weights_sha256.count(",") == 1
    assert not set(default.weights_sha256.split(",")) & set(dfmgan.weights_sha256.split(","))
    assert "left out" not in dfmgan.note


def test_kid_over_subsets_is_recorded_beside_the_default_where_it_is_asked_for():
    rng = np.random.default_rng(0)
    generated, real = (
        ImageFeatures(rng.normal(size=(n, 8)).astype(np.float32), np.zeros((n, 1)), ("dent",) * n, {})
        for n in (14, 11)
    )
    template = Record(level="generation-normal")
    plain = list(set_records(template, generated, real, "train/good"))
    subset, *rest = set_records(template, generated, real, "train/good", ("default", "subset"))
    assert rest == plain
    expected = kid(generated.features, real.features, estimator="subset").value
    assert (subset.metric, subset.dialect, subset.value) == ("kid", "subset", expected)
    assert "100 subsets of 11 images" in subset.note
    assert subset.stderr is None
    (few, *_) = set_records(
        template, replace(generated, features=generated.features[:1]), real, "", ("subset",)
    )
    assert few.status == "undefined"
