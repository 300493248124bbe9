"""Methods whose weights are not here: their cells are skipped with the reason, the others run."""

from collections.abc import Callable
from pathlib import Path

import pytest

RUN = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--categories", "washer")
LACKS = ("--set", "unet.encoder=resnet18", "--set", "unet.encoder_weights=imagenet")
SENTENCE = "'unet' needs the ImageNet weights resnet18-f37072fd.pth"


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


def test_the_cells_of_a_detector_without_weights_are_skipped_before_any_work(
    bench: Callable, data: Path
) -> None:
    chosen = ("--detectors", "unet,bisenet_v2", "--generators", "crop_paste")
    said = bench(*RUN, *chosen, *LACKS, "--data", data, "--dry-run")
    lines = said.out.splitlines()
    told = next(line for line in lines if line.startswith(f"skipped: {SENTENCE}"))
    assert "--set unet.encoder_weights=embedded" in told
    assert any(line.startswith("skipped  3 cells: ") and SENTENCE in line for line in lines)
    assert (
        "score.detection washer bisenet_v2 real" in said.out and "score.detection washer unet" not in said.out
    )
    assert any(line.startswith(f"unet was asked for by name and cannot be: {SENTENCE}") for line in lines)
    assert said.code == 1


def test_where_nothing_is_left_to_run_there_is_one_sentence(bench: Callable, data: Path) -> None:
    words = ("run", "--protocol", "mvtec_unsupervised", "--scale", "smoke", "--categories", "washer")
    settings = ("--set", "patchcore.backbone=resnet18", "--set", "patchcore.backbone_weights=imagenet")
    chosen = ("--detectors", "patchcore", "--generators", "crop_paste")
    said = bench(*words, *chosen, *settings, "--data", data)
    assert said.code == 2
    assert said.err.startswith("bench: nothing is left to run: 'patchcore' needs")
    assert said.err.count("\n") == 1
