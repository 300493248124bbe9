"""Tasks under a limit of memory: they die of it, are begun again in less, and make the same bytes."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.store import Store, open_store

ROOM = 850
"""MB that a task may take beyond what it begins with; the fits below take some 1,100, or 700."""
LIMITS = {
    "refused": """
def limit():
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (now("VmData") + room, hard))
""",
    "killed": """
def limit():
    most = now("RssAnon") + room
    def watch():  # as the kernel does
        while now("RssAnon") < most:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=watch, daemon=True).start()
""",
}
COMMON = f"""
import os, resource, signal, threading, time
room = {ROOM} << 20
def now(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))
"""
AT_EVERY_TASK = "os.register_at_fork(after_in_child=limit)\n"
LARGE = ("--set", "unet.batch_size=128", "--set", "unet.epoch_size=128", "--set", "unet.epochs=1")


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory: pytest.TempPathFactory, runs: Any) -> Path:
    store = tmp_path_factory.mktemp("unlimited") / "store"
    runs.to_the_end(store, *LARGE)
    return store


def fits(store: Store) -> dict[str, str]:
    keys = [key for key in store.keys() if store.definition(key)["stage"] == "detector.fit"]  # noqa: SIM118
    return {key: store.manifest(key).content for key in keys}


@pytest.mark.parametrize("limit", ["killed", pytest.param("refused", marks=pytest.mark.full)])
def test_a_fit_that_dies_for_want_of_memory_comes_to_the_same_bytes_in_less(
    limit: str, unlimited: Path, tmp_path: Path, runs: Any
) -> None:
    store = tmp_path / "store"
    shutil.copytree(unlimited, store)
    opened = open_store(store)
    expected = fits(opened)
    for key in list(opened.keys()):
        if opened.definition(key)["stage"].startswith(("score.d", "detector.")):
            opened.remove(key)
    (tmp_path / "limit").mkdir()
    (tmp_path / "limit" / "sitecustomize.py").write_text(COMMON + LIMITS[limit] + AT_EVERY_TASK)
    paths = os.pathsep.join([str(tmp_path / "limit"), os.environ.get("PYTHONPATH", "")])
    output = runs.to_the_end(store, *LARGE, PYTHONPATH=paths)
    again = [line for line in output.splitlines() if line.endswith("when nothing else runs, in less memory")]
    assert len(again) == len(expected) == 3, output
    how = "its process was killed" if limit == "killed" else "it found no more memory"
    assert all(how in line and line.startswith("detector.fit unet") for line in again), output
    assert fits(opened) == expected
    assert runs.results(store) == runs.results(unlimited)
    assert runs.left_over(store) == []
