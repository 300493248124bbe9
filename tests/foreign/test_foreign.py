"""Methods in other environments: what they see, what they leave, and everything that they can do wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.conformance.trial_split import trial_split
from bench.errors import BenchError
from bench.foreign.adapter import foreign_adapter
from bench.foreign.spec import load_foreign
from bench.methods import View
from bench.methods.context import Context
from bench.sample import SampleSpec, write

File = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = SampleSpec(size=64, train=4, test_good=2, per_defect=4, categories=("washer",))
    return write(spec, tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def train_split(tmp_path: Path):
    return trial_split(tmp_path / "split")


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=False, timeout=300
    )


def run(data: Path, store: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    fixed = ("run", "--protocol", "mvtec_localization", "--scale", "smoke", "--data", str(data))
    return bench(*fixed, "--store", str(store), *words)


def test_a_generator_of_another_environment_gets_into_the_leaderboard(
    data: Path, tmp_path: Path, generator_file: File, other_python: str
) -> None:
    plugin = str(generator_file(other_python))
    store = tmp_path / "store"
    done = run(data, store, "--generators", "stamps", "--plugin", plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stamps" in done.stdout
    logs = [path.read_text() for path in store.glob("tasks/*/*/log.txt")]
    fits = [log for log in logs if "fit by" in log]
    assert fits
    assert all(f"fit by {other_python} which is told ['TOLD']" in log for log in fits)
    again = run(data, store, "--generators", "stamps", "--plugin", plugin)
    assert again.returncode == 0
    assert "0 tasks to run" in again.stdout


def test_a_foreign_detector_gets_into_the_leaderboard(
    data: Path, tmp_path: Path, detector_file: Path
) -> None:
    words = ("--generators", "crop_paste", "--detectors", "sizes", "--plugin", str(detector_file))
    done = run(data, tmp_path / "store", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sizes" in done.stdout


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        ("fail", "the command ended with status 1; its log says why"),
        ("few", r"wrote 1 images of plate/\w+, and 2 were asked for"),
        ("link", "is a link that leaves the folder"),
        ("relink", "the command left a link at"),
        ("broken", "is not an image that can be read"),
    ],
)
def test_what_a_command_does_wrong_is_told_in_one_sentence(
    train_split, tmp_path: Path, generator_file: File, does: str, sentence: str
) -> None:
    with pytest.raises(BenchError, match=sentence):
        sample(generator_file(), train_split, tmp_path, does=does)


@pytest.mark.parametrize(
    ("does", "limits", "sentence"),
    [
        ("hang", "minutes = 0.02", "stopped at its limit of 0.02 minutes"),
        ("allocate", "memory_gb = 0.2", "stopped at its limit of 0.2 GB memory"),
        ("fill", "disk_gb = 0.1", "stopped at its limit of 0.1 GB disk"),
    ],
)
def test_a_command_beyond_a_limit_is_ended_with_all_that_it_started(
    train_split, tmp_path: Path, generator_file: File, does: str, limits: str, sentence: str
) -> None:
    with pytest.raises(BenchError, match=sentence):
        sample(generator_file(limits=limits), train_split, tmp_path, does=does)
    assert not [words for words in commands() if str(generator_file().parent) in words]


def test_equal_seeds_give_equal_samples_of_the_size_of_the_split(
    train_split, tmp_path: Path, generator_file: File
) -> None:
    first = sample(generator_file(), train_split, tmp_path / "a")
    again = sample(generator_file(), train_split, tmp_path / "b")
    assert len(first) == 2
    for one, other in zip(first, again, strict=True):
        assert one.image.shape == (train_split.resolution, train_split.resolution, 3)
        assert one.mask.any()
        assert (one.image == other.image).all()


def test_what_is_not_here_is_told_before_any_work(generator_file: File) -> None:
    adapter = foreign_adapter(generator_file("/nowhere/python"))
    (sentence,) = adapter.configure().missing()
    assert sentence.startswith("'stamps' needs /nowhere/python, which is not here")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("{seed}", "{sed}", r"names \{sed\}, which is neither a place nor a parameter"),
        ("sample = ", "predict = ", "a generator has the command sample"),
        ("version = 1", "version = 0", "version: Input should be greater than or equal to 1"),
        ('name = "stamps"', 'name = "../up"', "name: String should match pattern"),
        ('yields = ["anomaly", "mask", "type"]', "yields = []", "yields is empty"),
        ("limits = {", "limit = {", "limit: Extra inputs are not permitted"),
        ('kind = "generator"', "kind = ", "cannot be read"),
        (
            "params = {",
            "params = { model_dump = 1,",
            "params.model_dump: names that begin with model_ are taken",
        ),
        ("params = {", "params = { _x = 1,", r"params._x.*String should match pattern"),
        ("about = ", 'about = ""\n# ', "about: String should have at least 1 character"),
        (
            "about = ",
            "view = { side = 512, fit = 'cut' }\nabout = ",
            "view.fit: Input should be 'stretch' or 'crop'",
        ),
        (
            "about = ",
            "view = { side = 512, short_side = 600 }\nabout = ",
            "short_side belongs to the fit crop",
        ),
    ],
)
def test_a_wrong_file_is_refused_when_it_is_read(
    generator_file: File, old: str, new: str, sentence: str
) -> None:
    path = generator_file()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BenchError, match=sentence):
        load_foreign(path)


def test_a_mark_of_byte_order_is_no_part_of_a_file(generator_file: File) -> None:
    path = generator_file()
    plain = load_foreign(path)
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert load_foreign(path) == plain


def commands() -> list[str]:
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            commands.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [words for words in commands if words and f"{os.getpid()}" not in words]


def sample(path: Path, data, tmp_path: Path, **options):
    from bench.methods import Request

    adapter = foreign_adapter(path).configure(overrides=options)
    category = next(iter(data.categories))
    (tmp_path / "scratch").mkdir(parents=True, exist_ok=True)
    (tmp_path / "model").mkdir(exist_ok=True)
    ctx = Context(
        seed=0,
        stage="generator.sample",
        adapter="stamps",
        category=category,
        device="cpu",
        scratch=tmp_path / "scratch",
    )
    if options.get("does") in (None, "few", "link", "relink", "broken", "fill"):
        foreign_adapter(path).configure().fit(data, tmp_path / "model", ctx)
    defect = next(iter(data.categories[category].anomalies))
    return list(adapter.sample(tmp_path / "model", data, Request(category, defect, range(2)), ctx))


def test_a_file_may_say_at_which_side_and_fit_its_command_wants_images(generator_file: File) -> None:
    path = generator_file()
    assert foreign_adapter(path).configure().view() is None
    path.write_text(path.read_text().replace("about = ", 'view = { side = 512, fit = "crop" }\nabout = '))
    assert foreign_adapter(path).configure().view() == View(512, "crop")
