"""SIGKILL and SIGTERM at random moments: the same command, again and again, ends with the records of a quiet
run."""

import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.cli.verify import verify_command
from bench.store import open_store

EACH, PARTS = 10, 20
"""200 kills, in parts that fit into the patience of a machine that is shared."""
VICTIMS = ("driver", "worker", "group")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@pytest.mark.parametrize(
    ("kills", "part"), [(6, 0), *(pytest.param(EACH, part, marks=pytest.mark.full) for part in range(PARTS))]
)
def test_killed_runs_end_with_the_records_of_an_undisturbed_one(
    kills: int, part: int, tmp_path: Path, runs: Any, quiet: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, expected, seconds = quiet
    store = tmp_path / "store"
    rng = random.Random(100 * kills + part)
    ways = [(victim, number) for victim in VICTIMS for number in SIGNALS]
    killed: list[tuple[str, signal.Signals]] = []
    while True:
        run = runs.begin(store)
        if len(killed) < kills:
            try:
                run.wait(rng.uniform(0.1, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                way = ways[len(killed) % len(ways)]
                if kill(runs, run, store, *way):
                    killed.append(way)
                output, _ = run.communicate()
                # a run that lost its worker goes on; a task that was hit twice fails, until the next run
                assert run.returncode in (0, 1, 130, -way[1]), output
                assert "Traceback" not in output
                runs.wait_until_gone(store)
                continue
        output, _ = run.communicate()
        assert run.returncode == 0, output
        if len(killed) == kills:
            break
        lose_some_work(store, rng)
    assert set(killed) == set(ways)
    assert runs.results(store) == expected
    assert verify_command(store, recompute=True, remove=False) == 0, capsys.readouterr().out
    assert runs.workers(store) == []
    assert runs.left_over(store) == []


def kill(runs: Any, run: "subprocess.Popen[str]", store: Path, victim: str, number: signal.Signals) -> bool:
    """Whether there was one to kill."""
    if victim == "driver":
        run.send_signal(number)
        return True
    if victim == "group":
        os.killpg(run.pid, number)
        return True
    while run.poll() is None:
        with suppress(ValueError, ProcessLookupError):
            os.kill(min(runs.workers(store)), number)  # the first of them forked the others
            return True
        with suppress(subprocess.TimeoutExpired):
            run.wait(0.05)
    return False


def lose_some_work(store: Path, rng: random.Random) -> None:
    """A run ended before it could be killed often enough: take some tasks away, and the goals with them."""
    opened = open_store(store)
    keys = list(opened.keys())
    for key in rng.sample(keys, len(keys) // 2):
        opened.remove(key)
    for key in keys:
        if opened.done(key) and opened.definition(key)["stage"].startswith("score."):
            opened.remove(key)
