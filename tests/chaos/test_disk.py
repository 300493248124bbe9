"""Disks that fill up or cannot be written, files that rot, clocks that run backwards, two runs at once."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.outputs import report_command
from bench.cli.upkeep import gc_command
from bench.cli.verify import verify_command
from bench.store import open_store
from bench.upkeep.garbage import KINDS

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("start_kb", "percent", "least"), [(400, 600, 2), pytest.param(150, 115, 30, marks=pytest.mark.full)]
)
def test_a_disk_that_is_full_again_and_again_costs_no_more_than_the_task_in_flight(
    start_kb: int, percent: int, least: int, tmp_path: Path, runs: Any, quiet: Any, on_own_mounts: Shell
) -> None:
    store, copy = tmp_path / "store", tmp_path / "kept"
    store.mkdir()
    run = " ".join(runs.command(store))
    done = on_own_mounts(f"""
        size={start_kb}; mount -t tmpfs -o size=${{size}}k none {store} || exit 99
        while true; do
            {run} > {tmp_path}/said 2>&1; code=$?
            echo "code $code at $size: $(tail -1 {tmp_path}/said)"
            [ $code = 2 ] || break
            size=$((size * {percent} / 100)); mount -o remount,size=${{size}}k {store}
        done
        cp -r {store} {copy}
    """)
    assert done.returncode == 0, done.stderr
    *full, last = done.stdout.splitlines()
    assert last.startswith("code 0 at"), done.stdout
    assert len(full) >= least
    for line in full:
        sentence = line.partition(": ")[2]
        assert sentence.startswith(f"bench: the disk of the store {store} is full; free some space") or (
            sentence.startswith(f"bench: the store {store} can") and "no space left on device" in sentence
        ), line
    assert runs.results(copy) == quiet[1]
    assert verify_command(copy, recompute=False, remove=False) == 0


def test_a_store_that_became_read_only_is_read_but_not_written(
    tmp_path: Path, runs: Any, quiet: Any, on_own_mounts: Shell
) -> None:
    store = tmp_path / "store"
    shutil.copytree(quiet[0], store)
    python = runs.command(store)[0]
    done = on_own_mounts(
        f"mount --bind {store} {store} && mount -o remount,bind,ro {store}\n"
        f"{' '.join(runs.command(store))}; echo code $?\n"
        f"{python} -m bench verify --store {store}; echo code $?\n"
        f"{python} -m bench status --store {store}; echo code $?"
    )
    refused, verified, status = done.stdout.split("code ")[1:]
    assert refused.startswith("2")
    assert verified.startswith("0") and status.startswith("0"), done.stdout
    assert "0 damaged" in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bench: the store {store} cannot be written: read-only file system")


def test_a_store_whose_payloads_were_dropped_keeps_its_records_and_its_pages(
    tmp_path: Path, runs: Any, quiet: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    shutil.copytree(quiet[0], store)
    gc_command(store, tuple(KINDS), dry_run=False)
    assert "0 payloads" not in capsys.readouterr().out
    report_command(store, None)
    assert list((store / "report").glob("*/by-category-unet.html"))
    assert runs.results(store) == quiet[1]
    assert verify_command(store, recompute=False, remove=False) == 0, capsys.readouterr().out


def test_truncated_and_flipped_files_are_found_and_made_again_by_the_same_command(
    tmp_path: Path, runs: Any, quiet: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    shutil.copytree(quiet[0], store)
    files = [
        path for path in sorted((store / "tasks").rglob("*")) if path.is_file() and path.name != "log.txt"
    ]
    rng = random.Random(0)
    hurt = {path.relative_to(store).parts[2]: path for path in rng.sample(files, 12)}
    for number, path in enumerate(hurt.values()):
        damage(path, rng, truncate=number % 2 == 0)
    assert verify_command(store, recompute=False, remove=True) == 1
    report = capsys.readouterr().out
    assert {line.partition(":")[0] for line in report.splitlines()[:-1]} >= hurt.keys()
    runs.to_the_end(store)
    assert verify_command(store, recompute=True, remove=False) == 0, capsys.readouterr().out
    opened = open_store(store)
    assert all(opened.done(key) for key in hurt)
    assert set(opened.keys()) == set(open_store(quiet[0]).keys())
    assert runs.results(store) == quiet[1]
    assert runs.left_over(store) == []


def damage(path: Path, rng: random.Random, *, truncate: bool) -> None:
    whole = path.read_bytes()
    if truncate or not whole:
        path.write_bytes(whole[: len(whole) // 2] if whole else b"x")
        return
    at = rng.randrange(len(whole))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])


CLOCK = """
import itertools, time
real, calls = time.time, itertools.count()
time.time = lambda: real() + {} * next(calls)
"""
"""A clock that is set each time that it is read."""


@pytest.mark.parametrize("seconds", [-60, 3600], ids=["back", "forward"])
def test_a_clock_that_is_set_and_files_of_the_future_change_nothing(
    seconds: int, tmp_path: Path, runs: Any, quiet: Any
) -> None:
    store = tmp_path / "store"
    shutil.copytree(quiet[0], store)
    opened = open_store(store)
    for key in list(opened.keys()):
        if opened.definition(key)["stage"].startswith(("score.", "detector.")):
            opened.remove(key)
    future = 4102444800.0
    for path in [store, *store.rglob("*")]:
        os.utime(path, (future, future))
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK.format(seconds))
    paths = os.pathsep.join([str(tmp_path / "clock"), os.environ.get("PYTHONPATH", "")])
    output = runs.to_the_end(store, "--time-limit", "300", PYTHONPATH=paths)
    assert "FAILED" not in output
    assert runs.results(store) == quiet[1]
    assert runs.left_over(store) == []


def test_two_runs_on_one_store_share_the_work_and_agree(tmp_path: Path, runs: Any, quiet: Any) -> None:
    store = tmp_path / "store"
    both = [runs.begin(store, "--workers", "1") for _ in range(2)]
    outputs = [run.communicate()[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], outputs[0][-2000:] + outputs[1][-2000:]
    assert runs.results(store) == quiet[1]
    assert runs.left_over(store) == []
    counts = [int(text.count(" s\n")) for text in outputs]
    assert sum(counts) >= len(list(open_store(store).keys()))


def test_a_store_of_a_newer_version_is_refused_and_of_an_unknown_one_too(tmp_path: Path, runs: Any) -> None:
    store = tmp_path / "store"
    open_store(store, create=True)
    for written, mend in ((99, "update defectbench"), (0, "no version of defectbench wrote that")):
        (store / "store.json").write_text(f'{{"format": {written}}}')
        run = runs.begin(store)
        output, _ = run.communicate()
        assert run.returncode == 2
        assert output.startswith(
            f"bench: the store {store} has format {written}, this version reads format 1; {mend}"
        )
