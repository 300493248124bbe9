"""Any damage to any file of a store: each command answers, and none shows a wrong value."""

import csv
import io
import json
import os
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.cli import main

SECONDS = 180
"""A command that takes longer hangs, on a busy machine too."""
HANGS = -1


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Hangs(BaseException):
    """A command did not end."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hangs


def answer(*words: str) -> Answer:
    """Run `bench WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["bench", *words]
    ring = signal.signal(signal.SIGALRM, _ring)
    signal.alarm(SECONDS)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    except Hangs:
        code = HANGS
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, ring)
        sys.argv = before
    return Answer(code, out.getvalue(), err.getvalue())


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes() or b"x")
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def fill(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(max(16, path.stat().st_size)))


def retype(path: Path, rng: random.Random) -> None:
    path.write_text(rng.choice(("[]", "{}", "null", '"text"', "7", '{"key": 1}', "[[1], {}]")))


def turn_number(path: Path, rng: random.Random) -> None:
    """Another number in a text; bytes that are not text are flipped."""
    numbers = list(re.finditer(rb"\d+(?:\.\d+)?", content := path.read_bytes()))
    if not numbers or path.suffix in (".npy", ".png", ".zip"):
        return flip(path, rng)
    chosen = rng.choice(numbers)
    path.write_bytes(
        content[: chosen.start()] + rng.choice((b"0.987", b"-1", b"1e400")) + content[chosen.end() :]
    )
    return None


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def hanging_link(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (
    empty,
    cut,
    flip,
    fill,
    retype,
    turn_number,
    delete,
    folder,
    pipe,
    hanging_link,
)


def kind_of(path: Path, store: Path) -> str:
    """What sort of file it is: its place without keys, digests and names of runs."""
    parts = path.relative_to(store).parts
    if parts[0] == "tasks":
        stage = json.loads((store / Path(*parts[:3]) / "task.json").read_text())["stage"]
        return f"{stage} {'/'.join(re.sub('[0-9]+', 'N', part) for part in parts[3:])}"
    if parts[0] == "runs" and path.suffix:
        return f"runs/*{path.suffix}"
    return f"{parts[0]}/" + re.sub(r"[0-9a-f]{8,}|\d+", "N", "/".join(parts[1:]))


def files_by_kind(store: Path) -> dict[str, list[Path]]:
    """Every kind of file of a store, but locks and pages, with its files relative to the store."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(store.rglob("*")):
        if path.is_file() and path.name != ".lock" and path.relative_to(store).parts[0] != "report":
            kinds.setdefault(kind_of(path, store), []).append(path.relative_to(store))
    return kinds


def commands(store: Path, sound: Path, folder: Path, with_slow: bool = False) -> Iterator[tuple[str, ...]]:
    """Every command that reads a store; those that write come last. Two are slow: a merge makes pools anew in
    workers, and `doctor` imports every method."""
    at = ("--store", str(store))
    key = next(path.name for path in sorted((sound / "tasks").glob("*/*")))
    yield ("status", *at)
    yield ("show", key, *at)
    yield ("log", key, *at)
    yield ("export", str(folder / "records.csv"), *at)
    yield ("export", str(folder / "board.md"), *at)
    yield ("report", "--out", str(folder / "site"), *at)
    yield ("compare", str(store), str(sound))
    yield ("gate", "--baseline", str(folder / "gate.toml"), *at)
    yield ("samples", "extract", str(folder / "samples"), "--generator", "crop_paste", *at)
    yield ("verify", *at)
    yield ("gc", "--drop", "models,predictions,samples,features", "--dry-run", *at)
    if with_slow:
        yield ("merge", str(store), "--store", str(folder / "other"))
        yield ("doctor", *at)


def values(path: Path) -> dict[tuple[str, ...], str]:
    """Value of each measured row of an exported table."""
    names = ("category", "defect", "generator", "detector", "mix", "level", "metric", "dialect", "seed")
    with path.open(newline="") as file:
        return {
            tuple(row[name] for name in names): row["value"]
            for row in csv.DictReader(file)
            if row["status"] == "ok" and row["level"] != "cost"
        }


@dataclass
class Damaged:
    """A copy of a sound store with damage to one file, and what the commands made of it."""

    title: str
    store: Path
    sound: Path
    folder: Path
    with_slow: bool

    def faults(self) -> Iterator[str]:
        (self.folder / "gate.toml").write_bytes((self.sound.parent / "gate.toml").read_bytes())
        shutil.copytree(self.sound.parent / "empty", self.folder / "other")
        true = values(self.sound.parent / "records.csv")
        for words in commands(self.store, self.sound, self.folder, self.with_slow):
            (self.folder / "records.csv").unlink(missing_ok=True)
            given = answer(*words)
            if given.code not in (0, 1, 2) or "Traceback" in given.err or given.err.count("\nbench: ") > 1:
                yield f"{self.title}: {words[0]} ended with {given.code}: {given.err[-300:]}"
            if (self.folder / "records.csv").exists():
                shown = values(self.folder / "records.csv")
                wrong = {row: value for row, value in shown.items() if true.get(row) != value}
                if wrong:
                    example = next(iter(wrong.items()))
                    yield f"{self.title}: {len(wrong)} wrong values are exported, such as {example}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, quiet: Any) -> Path:
    """A copy of the quiet store, with what its records are worth beside it."""
    folder = tmp_path_factory.mktemp("sound")
    store = folder / "store"
    shutil.copytree(quiet[0], store)
    at = ("--store", str(store))
    assert answer("report", *at).code == 0
    assert answer("export", str(folder / "records.csv"), *at).code == 0
    made = answer("gate", "--baseline", str(folder / "gate.toml"), "--update", "--reason", "the first", *at)
    assert made.code == 0, made
    shutil.copytree(store, folder / "empty", ignore=lambda path, names: names if "tasks" in path else [])
    return store


def walk(sound: Path, tmp_path: Path, count: int, seed: int, with_slow: bool = False) -> list[str]:
    """The faults that so many random damages bring about, each to a fresh copy."""
    rng = random.Random(seed)
    kinds = sorted(files_by_kind(sound).items())
    faults = []
    for number in range(count):
        kind, files = kinds[number % len(kinds)] if count >= len(kinds) else rng.choice(kinds)
        file, damage = rng.choice(files), rng.choice(DAMAGES)
        folder = tmp_path / str(number)
        shutil.copytree(sound, folder / "store", symlinks=True)
        damage(folder / "store" / file, rng)
        title = f"{kind}, {damage.__name__}"
        faults += Damaged(title, folder / "store", sound, folder, with_slow).faults()
        shutil.rmtree(folder)
    return faults


def test_a_damaged_file_ends_no_command_unforeseen_and_shows_no_wrong_value(
    sound: Path, tmp_path: Path
) -> None:
    assert walk(sound, tmp_path, 3, seed=0) == []


@pytest.mark.full
@pytest.mark.parametrize("part", range(6))
def test_three_hundred_damages(sound: Path, tmp_path: Path, part: int) -> None:
    assert walk(sound, tmp_path, 50, seed=1 + part, with_slow=True) == []


def test_the_same_command_makes_damaged_tasks_anew_and_deletes_nothing(
    tmp_path: Path, runs: Any, quiet: Any
) -> None:
    store = tmp_path / "store"
    shutil.copytree(quiet[0], store)
    rng = random.Random(0)
    by_kind = files_by_kind(store)
    hurt = {
        by_kind["score.detection out/records.jsonl"][0]: turn_number,
        by_kind["score.detection task.json"][1]: cut,
        by_kind["score.generation manifest.json"][0]: retype,
        by_kind["runs/*.json"][0]: empty,
    }
    for file, damage in hurt.items():
        damage(store / file, rng)
    # an array is not hashed before a run: that it cannot be read shows when a score is made from it
    prediction = by_kind["detector.predict out/amaps.npy"][0]
    fill(store / prediction, rng)
    for score in by_kind["score.detection manifest.json"]:
        (store / score).unlink(missing_ok=True)
    output = runs.to_the_end(store)
    assert output.count("is damaged") >= 1
    assert runs.results(store) == quiet[1]
    set_aside = {path.name.partition(".")[0] for path in (store / "damaged").iterdir()}
    assert {file.parts[2] for file in [*hurt, prediction] if file.parts[0] == "tasks"} <= set_aside
    assert runs.left_over(store) == []
    assert "0 damaged" in answer("verify", "--store", str(store)).out
