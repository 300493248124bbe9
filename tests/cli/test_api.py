"""The functions of `bench` in Python: what they return, what they refuse, and that they print nothing."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bench as package
from bench.cli.progress import PlainView
from bench.errors import BenchError
from bench.tasks import Task

Write = Callable[..., Path]
FIRST = {"none": (0.5, 0.5), "strong": (0.6, 0.6)}
SECOND = {"none": (0.5, 0.5), "strong": (0.9, 0.9)}


@pytest.fixture(autouse=True)
def prints_nothing(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    if "bench" not in request.fixturenames:
        assert capfd.readouterr() == ("", "")


def test_a_dry_run_gives_the_plan_and_runs_nothing(
    sound: Path, store: Path, done_tasks: Callable[[], list[str]]
) -> None:
    result = package.run(
        "mvtec_supervised",
        data=sound,
        scale="smoke",
        detectors=["unet"],
        settings={"unet.epochs": 3},
        store=store,
        dry_run=True,
    )
    assert (result.state, result.ok, result.ran) == ("planned", True, 0)
    assert {goal.stage for goal in result.goals} >= {"score.generation", "score.detection"}
    assert "--set unet.epochs=3" in result.plan.about["provenance"]["command"]
    assert not done_tasks()


def test_a_pair_that_was_named_and_cannot_be_is_refused_with_the_reason(sound: Path, store: Path) -> None:
    pair = {"generators": ["perlin"], "detectors": ["resnet34"]}
    result = package.run("mvtec_supervised", data=sound, scale="smoke", store=store, dry_run=True, **pair)
    assert not result.ok
    (sentence,) = result.refused
    assert "resnet34 with perlin was asked for by name and cannot be" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"generators": "perlin"}, r"generators='perlin' is a text; give a list, such as \['perlin'\]"),
        ({"detectors": []}, "detectors is empty; leave it out"),
        ({"scale": "smol"}, "unknown scale 'smol'"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_wrong_in_a_request_is_raised_in_one_sentence(
    store: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BenchError, match=sentence):
        package.run("mvtec_supervised", store=store, **arguments)


class _Notes(PlainView):
    """A view of the caller, which keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.stages: list[str] = []

    def started(self, task: Task) -> None:
        super().started(task)
        self.stages.append(task.stage)

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def made_elsewhere(sound: Path, tmp_path: Path) -> Path:
    """Images and masks of one defect type, as another program would leave them."""
    folder = tmp_path / "made elsewhere"
    shutil.copytree(sound / "washer/test/dent", folder / "washer/test/dent")
    shutil.copytree(sound / "washer/ground_truth/dent", folder / "washer/ground_truth/dent")
    return folder


def test_ingested_images_can_be_planned_by_their_name(sound: Path, store: Path, made_elsewhere: Path) -> None:
    view = _Notes()
    taken_in = package.ingest(made_elsewhere, data=sound, generator="mine", store=store, view=view)
    assert (taken_in.kind, taken_in.name) == ("generator", "mine")
    assert [task.stage for task in taken_in.tasks] == ["generator.ingest"]
    assert taken_in.notes[0].startswith("note: no images for washer/")
    assert set(taken_in.notes) <= set(view.lines)
    assert view.stages == ["generator.ingest"]
    result = package.run(
        "mvtec_supervised", data=sound, scale="smoke", generators=["mine"], store=store, dry_run=True
    )
    planned = {node.labels.generator for node in result.plan.nodes.values() if node.labels}
    assert "mine" in planned


def test_ingest_and_score_want_one_of_two(sound: Path, store: Path) -> None:
    with pytest.raises(BenchError, match="name what is ingested"):
        package.ingest(sound, data=sound, store=store)
    with pytest.raises(BenchError, match="name what is scored"):
        package.score(sound, predictions=sound, against=sound, store=store)


def test_verify_names_each_damaged_task_and_can_remove_it(written_store: Write, tmp_path: Path) -> None:
    root = written_store(tmp_path / "s", FIRST)
    assert package.verify(root).damaged == {}
    file = next(root.glob("tasks/*/*/out/records.jsonl"))
    file.write_text("{}")
    key = file.parents[1].name
    verification = package.verify(root, remove=True)
    assert verification.damaged == {key: "records.jsonl was changed"}
    assert package.verify(root).checked == verification.checked - 1


def test_compare_gives_a_cell_per_row(written_store: Write, tmp_path: Path) -> None:
    first, second = written_store(tmp_path / "a", FIRST), written_store(tmp_path / "b", SECOND)
    comparison = package.compare(first, second)
    cells = comparison.frame().set_index(["category", "generator"])
    assert comparison.second.protocol == "mvtec_supervised"
    assert cells.loc[("mean", "strong"), "verdict"] == "better"
    assert cells.loc[("bolt", "strong"), "difference"] == pytest.approx(0.3)
