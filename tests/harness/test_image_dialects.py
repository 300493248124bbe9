"""Dialects of IC-LPIPS and KID that a request asks for beside the default ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import bench as package
from bench.errors import BenchError
from bench.planning.request import Prepared
from bench.stages.data import real_pools
from bench.stages.features import PerceptualFeatures
from bench.store import Store
from bench.tasks import closure

Prepare = Callable[..., Prepared]


def stages(prepared: Prepared, stage: str) -> dict[str, dict]:
    tasks = closure(task for task in prepared.planned() if hasattr(task, "stage"))
    return {key: dict(task.params) for key, task in tasks.items() if task.stage == stage}


def test_a_setting_adds_dialects_to_the_tasks_that_have_them_and_to_no_other(store: Store, prepare: Prepare):
    methods = {"generators": ("crop_paste",), "detectors": ("unet",)}
    plain = prepare(store, **methods)
    more = prepare(store, settings=("ic_lpips=ojha", "kid=default,subset"), **methods)
    assert more.config.protocol == plain.config.protocol
    (perceptual,) = stages(more, "features.perceptual").values()
    (score,) = stages(more, "score.generation").values()
    assert perceptual["dialects"] == ["default", "ojha"]
    assert score["kid"] == ["default", "subset"]
    assert "dialects" not in next(iter(stages(plain, "features.perceptual").values()))
    for stage in ("data.cache", "features", "features.lpips", "score.detection", "generator.sample"):
        assert stages(more, stage) == stages(plain, stage)


def test_the_dialect_of_seas_reads_its_centres_from_files_and_that_of_anomalyhybrid_the_test_images(
    store: Store, prepare: Prepare
):
    config = prepare(store, generators=("crop_paste",), detectors=("unet",)).config
    category = config.splits[0].categories[0]
    real = real_pools(config, category)
    inputs = {
        dialect: dict(
            PerceptualFeatures.task(
                replace(config, ic_lpips=("default", dialect)), category, real, real.base
            ).inputs
        )
        for dialect in ("dfmgan", "seas", "anomalyhybrid")
    }
    assert set(inputs["dfmgan"]) == {"generated", "base"}
    assert inputs["seas"]["nearest"].params["filter"] == "nearest"
    assert inputs["anomalyhybrid"]["test"].key == real.test.key


def test_a_dialect_that_cannot_be_is_refused_before_any_data_is_read(store: Store, prepare: Prepare):
    with pytest.raises(BenchError, match=r"'seas' is of LPIPS.*add --features canonical"):
        prepare(store, settings=("ic_lpips=seas",))
    with pytest.raises(BenchError, match=r"--set.*kid"):
        prepare(store, settings=("kid=subsets",))


def test_scoring_a_folder_takes_the_same_dialects(tmp_path: Path):
    folder = {"images": tmp_path, "against": tmp_path, "store": tmp_path / "store"}
    with pytest.raises(BenchError, match=r"unknown dialect 'sea'.*seas"):
        package.score(**folder, ic_lpips=["sea"])
    with pytest.raises(BenchError, match="'dfmgan' is of LPIPS"):
        package.score(**folder, ic_lpips=["dfmgan"])
    with pytest.raises(BenchError, match="leave them out of --predictions"):
        package.score(predictions=tmp_path, against=tmp_path, kid=["subset"], store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
