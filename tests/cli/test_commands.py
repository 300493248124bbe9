"""What the commands show, without any task being run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.cli import main
from bench.cli.doctor import _store_faults
from bench.cli.progress import PlainView
from bench.errors import BenchError
from bench.planning.plan import load_plan, save_plan
from bench.planning.request import RunRequest
from bench.runner.machine import Machine
from bench.runner.session import prepare_session, run_session
from bench.tasks import Task

COMMANDS = (
    *("run", "list", "show", "status", "log", "report", "export", "ingest", "score", "doctor", "verify"),
    *("samples", "samples extract", "data", "data check", "data list", "data make-sample"),
)
HEAVY = ("torch", "pandas", "numpy", "matplotlib", "pydantic", "PIL", "rich.progress")
DRY = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--dry-run")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, bench: Callable[..., Any]) -> None:
    said = bench(*command.split(), "--help")
    assert said.code == 0
    assert f"Usage: bench {command} " in said.out
    assert said.err == ""


def test_the_help_lists_every_command(bench: Callable[..., Any]) -> None:
    said = bench("--help")
    assert said.code == 0
    assert all(f"\n  {command} " in said.out for command in COMMANDS if " " not in command)
    assert bench().out == said.out


def test_the_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['bench', '--help']\n"
        "from bench.cli import main\n"
        "try: main()\n"
        f"finally: print('imported:', *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "imported:\n"
    assert done.stdout.startswith("Usage: bench ")


def test_list_names_what_is_built_in_with_a_line_on_each(bench: Callable[..., Any]) -> None:
    said = bench("list")
    assert said.code == 0
    for name in ("crop_paste", "cutpaste", "perlin", "unet", "bisenet_v2", "resnet34", "mvtec_supervised"):
        line = next(line for line in said.out.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 3
    assert "crop_paste" not in bench("list", "detectors").out


def test_show_tells_what_a_generator_needs_makes_and_takes(bench: Callable[..., Any]) -> None:
    said = bench("show", "perlin")
    assert said.code == 0
    for line in ("generator perlin@1: ", "needs: normal", "yields: anomaly, mask", "octaves = 5"):
        assert line in said.out
    assert "preset perlin[quick]: keep_grey=True" in said.out


def test_show_tells_what_a_detector_does_and_takes(bench: Callable[..., Any]) -> None:
    said = bench("show", "unet")
    assert said.code == 0
    for line in ("detector unet@1: ", "task: segmentation", "modality: rgb", "learning_rate = 0.0001"):
        assert line in said.out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("glass", "images: 288 x 288 pixels, the centre of a short side of 288, from the files"),
        ("patchcore", "images: 224 x 224 pixels, the centre of a short side of 256, from the files"),
        ("seas", "images: 512 x 512 pixels, the centre of a short side of 512, from the files"),
        ("unet", "images: whole, at the size of the protocol"),
    ],
)
def test_show_prints_at_which_size_a_method_sees_images(
    bench: Callable[..., Any], name: str, line: str
) -> None:
    assert line in bench("show", name).out


def test_show_tells_the_mixes_and_the_scales_of_a_protocol(bench: Callable[..., Any]) -> None:
    said = bench("show", "mvtec_supervised")
    assert said.code == 0
    for line in (
        "split: first-third@1",
        "generated+real: 50% normal, 40% generated, 10% real of a batch",
        "scale paper: 256 x 256 pixels, 1000 images per type, seeds [0]",
    ):
        assert line in said.out


def test_show_tells_of_a_plug_in(bench: Callable[..., Any], tmp_path: Path) -> None:
    plugin = tmp_path / "flip.py"
    plugin.write_text(
        "from generators.cutpaste import CutPaste\n\n"
        "class Flip(CutPaste):\n    '''Turns patches over.'''\n    name = 'flip_for_a_test'\n"
    )
    said = bench("show", "flip_for_a_test", "--plugin", plugin)
    assert said.code == 0
    assert "flip_for_a_test@" in said.out
    assert "#" in said.out.partition("\n")[0], "the digest of a plug-in's source is part of its name"
    assert "Turns patches over." in said.out


def test_check_accepts_a_sound_data_set(bench: Callable[..., Any], sound: Path) -> None:
    said = bench("data", "check", sound)
    assert said.code == 0
    assert said.out == "48 images in 2 categories: 0 errors, 0 warnings\n"


def test_check_lists_all_problems_at_once(bench: Callable[..., Any], data: Path) -> None:
    (data / "washer/test/dent/002.png").write_bytes(b"")
    (data / "weave/ground_truth/hole/003_mask.png").unlink()
    Image.new("L", (64, 64)).save(data / "weave/ground_truth/cut/000_mask.png")
    said = bench("data", "check", data)
    assert said.code == 1
    for line in (
        "error: washer/test/dent/002.png ",
        "error: weave/test/hole/003.png has no mask",
        "warning: weave/ground_truth/cut/000_mask.png marks no pixel",
        "48 images in 2 categories: 2 errors, 1 warnings",
    ):
        assert line in said.out


def test_check_warns_of_the_two_empty_masks_of_mtd(bench: Callable[..., Any], shared: Path) -> None:
    folder = shared / "data" / "mtd"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set DEFECTBENCH_SHARED")
    said = bench("data", "check", folder)
    assert said.code == 0
    assert said.out.count("marks no pixel as defect") == 2
    assert " 0 errors, " in said.out


def test_list_counts_the_images_and_both_sides_of_the_split(bench: Callable[..., Any], sound: Path) -> None:
    said = bench("data", "list", sound)
    assert said.code == 0
    assert "washer: train/good 6, test/good 2" in said.out
    assert "4 images: 1 in the first third, 3 in the test set" in said.out
    assert "8 types, 8 base, 24 + 4 test, 12 normal images for training" in said.out


def test_make_sample_writes_a_data_set_that_passes_the_check(
    bench: Callable[..., Any], tmp_path: Path
) -> None:
    sizes = ("--size", 48, "--train", 2, "--test-good", 1, "--per-defect", 3, "--categories", "washer")
    made = bench("data", "make-sample", tmp_path / "made", *sizes)
    assert made.code == 0
    assert made.out.splitlines()[-1] == str(tmp_path / "made")
    assert bench("data", "check", tmp_path / "made").out.startswith("15 images in 1 categories: 0 errors")


def test_doctor_finds_what_the_default_run_needs(bench: Callable[..., Any], store: Path) -> None:
    said = bench("doctor", "--store", store)
    assert said.code == 0, said.out
    assert "  torch " in said.out
    assert "embedded features: efficientnet-lite0-" in said.out
    assert f"store {store}: none yet" in said.out
    assert said.out.endswith("all is well\n")


def test_doctor_names_a_fault_of_the_store(sound: Path) -> None:
    (fault,) = _store_faults(sound)  # alone: the command imports every method first
    assert fault.startswith(f"there is no store in {sound}")


def test_a_dry_run_counts_what_would_run_and_runs_nothing(
    bench: Callable[..., Any], sound: Path, store: Path, done_tasks: Callable[[], list[str]]
) -> None:
    said = bench(*DRY, "--data", sound, "--store", store)
    assert said.code == 0
    stages = {line[:22].strip(): line[22:].split() for line in said.out.splitlines()[1:20]}
    # 2 categories; 1 + 2 * 2 kinds of row; 2 detectors that find, 1 that names types; perlin knows no types
    assert stages["score.generation"] == ["0", "4"]
    assert stages["score.detection"] == ["0", "20"]
    assert stages["score.classification"] == ["0", "6"]
    assert stages["data.cache"] == ["0", "6"]
    assert said.out.count("\nto run  ") == 4 + 20 + 6 + 2
    assert "skipped  4 cells: perlin knows no defect types, so its images have no label" in said.out
    assert not done_tasks()
    assert not list((store / "runs").iterdir())


def test_two_dry_runs_show_the_same_keys(bench: Callable[..., Any], sound: Path, tmp_path: Path) -> None:
    here, there = (bench(*DRY, "--data", sound, "--store", tmp_path / name) for name in ("a", "b"))
    assert here.out == there.out


@pytest.mark.parametrize(
    ("text", "seeds"), [("2", [2]), ("0-2", [0, 1, 2]), ("0,3", [0, 3]), ("4, 1-2,1", [1, 2, 4])]
)
def test_seeds_are_numbers_and_ranges(
    text: str, seeds: list[int], bench: Callable[..., Any], sound: Path, store: Path
) -> None:
    said = bench(*DRY, "--data", sound, "--store", store, "--detectors", "resnet34", "--seeds", text)
    assert said.code == 0
    shown = {line.rpartition(" seed ")[2] for line in said.out.splitlines() if " seed " in line}
    assert shown >= set(map(str, seeds))
    assert shown <= {*map(str, seeds), "0"}  # what no seed decides is shown under 0


def test_none_stands_for_no_value_of_a_parameter(bench: Callable[..., Any], sound: Path, store: Path) -> None:
    asked = (*DRY, "--data", sound, "--store", store, "--detectors", "unet")
    assert bench(*asked, "--set", "unet.encoder_weights=none").out == bench(*asked).out


def test_a_pair_asked_for_by_name_that_cannot_be_is_an_error(
    bench: Callable[..., Any], sound: Path, store: Path
) -> None:
    said = bench(*DRY, "--data", sound, "--store", store, "--generators", "perlin", "--detectors", "resnet34")
    assert said.code == 1
    assert (
        "resnet34 with perlin was asked for by name and cannot be: perlin knows no defect types" in said.out
    )
    assert bench(*DRY, "--data", sound, "--store", store, "--generators", "perlin").code == 0


class _Interrupting(PlainView):
    """A person who presses Ctrl-C twice as the first task begins."""

    def started(self, task: Task) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def interrupted(sound: Path, store: Path) -> Path:
    """A store in which a run was planned and stopped before its first task."""
    request = RunRequest("mvtec_supervised", data=sound, scale="smoke")
    opened, plan, goals = prepare_session(request, store, lambda text: None, lambda what: lambda *told: None)
    with pytest.raises(KeyboardInterrupt):
        run_session(request, opened, plan, goals, Machine(workers=1, device="cpu"), _Interrupting())
    return store


def test_after_a_run_that_was_stopped_nothing_is_taken_for_done(
    interrupted: Path, bench: Callable[..., Any], refused: Callable[..., str]
) -> None:
    said = bench("status", "--store", interrupted)
    assert said.code == 0
    assert "0 of 32 results are there" in said.out
    extract = ("samples", "extract", "out", "--store", interrupted, "--generator")
    assert "unknown generator 'perlim'" in refused(*extract, "perlim")
    assert "perlin has no images of seed 0 yet; `bench run` makes them" in refused(*extract, "perlin")


def test_a_damaged_plan_is_named(interrupted: Path, refused: Callable[..., str]) -> None:
    plan = next(interrupted.glob("runs/*.plan"))
    whole, held = plan.read_text(), load_plan(plan)
    for damaged in (whole[: len(whole) // 2], "{}", "[]"):
        plan.write_text(damaged)
        for words in (("status",), ("export", "out.csv")):
            line = refused(*words, "--store", interrupted)
            assert f"the plan {plan} cannot be read" in line
            assert "`bench run` writes it again" in line
    assert load_plan(save_plan(held, plan.parent)) == held
    assert plan.read_text() == whole


def test_a_run_stopped_in_its_preparation_says_how_to_go_on(
    bench: Callable[..., Any], sound: Path, store: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "impatient.py"
    # not a signal, which would be ignored where tests run in the background
    plugin.write_text("raise KeyboardInterrupt\n")
    said = bench(*DRY, "--data", sound, "--store", store, "--plugin", plugin)
    assert said.code == 130
    assert said.err == "bench: stopped; the same command goes on from here\n"


def test_a_traceback_is_shown_with_debug_alone(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "unknown protocol 'nothing'" in refused("run", "--protocol", "nothing")
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--protocol", "nothing", "--debug"])
    with pytest.raises(BenchError, match="unknown protocol 'nothing'"):
        main()
