"""A store that cannot be read or written is refused at once, and a full disk loses nothing."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.store import open_store

RUN = ("run", "--protocol", "mvtec_supervised")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps({"format": 99}), "format 99"),
        ("{", "store.json is damaged"),
        ("[]", "store.json is damaged"),
    ],
    ids=["newer format", "half a store.json", "another JSON"],
)
def test_a_store_that_cannot_be_read_is_left_alone(
    text: str, says: str, refused: Callable[..., str], store: Path
) -> None:
    open_store(store, create=True)
    (store / "store.json").write_text(text)
    assert says in refused(*RUN, "--store", store)
    assert not list((store / "sources").iterdir())


def test_a_store_is_neither_a_file_nor_a_folder_of_something_else(
    refused: Callable[..., str], tmp_path: Path, sound: Path
) -> None:
    (tmp_path / "notes").write_text("mine")
    assert "notes is a file; name a folder" in refused(*RUN, "--store", tmp_path / "notes")
    assert "is not empty and not a store; name another folder" in refused(*RUN, "--store", sound)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_store_where_no_folder_can_be_made_is_refused(refused: Callable[..., str]) -> None:
    line = refused(*RUN, "--store", "/proc/bench-store")
    assert "the store /proc/bench-store cannot be opened" in line
    assert "name another folder with --store" in line


def test_a_read_only_store_is_refused(
    on_own_mounts: Callable[[str], subprocess.CompletedProcess[str]], store: Path
) -> None:
    open_store(store, create=True)
    done = on_own_mounts(
        f"mount --bind {store} {store} && mount -o remount,bind,ro {store}\n"
        f"$BENCH run --protocol mvtec_supervised --store {store}"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bench: the store {store} cannot be written: read-only file system")


def test_a_disk_that_is_full_at_the_start_is_refused(
    on_own_mounts: Callable[[str], subprocess.CompletedProcess[str]], store: Path
) -> None:
    store.mkdir()
    done = on_own_mounts(
        f"mount -t tmpfs -o size=48k none {store}\n$BENCH run --protocol mvtec_supervised --store {store}"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bench: the store {store} cannot be written: no space left on device")


def test_a_disk_that_fills_up_stops_the_run_and_what_is_done_stays_whole(
    on_own_mounts: Callable[[str], subprocess.CompletedProcess[str]], sound: Path, store: Path
) -> None:
    store.mkdir()
    done = on_own_mounts(
        f"mount -t tmpfs -o size=400k none {store}\n"
        f"$BENCH run --protocol mvtec_supervised --scale smoke --data {sound} --categories washer "
        f"--generators crop_paste --detectors resnet34 --workers 1 --store {store}\n"
        f"echo exit code $?\nmount -o remount,size=4m {store}\n$BENCH verify --store {store}"
    )
    assert "exit code 2" in done.stdout
    assert done.stderr == (
        f"bench: the disk of the store {store} is full; free some space and run the same command again\n"
    )
    assert "tasks verified, 0 damaged" in done.stdout
    assert not done.stdout.endswith("\n0 tasks verified, 0 damaged\n")
