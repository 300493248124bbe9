import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.store import Lease, Leases
from bench.store.leases import STALE_AFTER, _process_start, this_machine

KEY = "ab" * 16
HERE = this_machine()


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    (tmp_path / "leases").mkdir()
    return Leases(tmp_path, "mine")


@pytest.fixture
def stranger() -> Iterator[Lease]:
    """The lease of another process on this host, alive."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Lease(HERE, process.pid, _process_start(process.pid) or -1.0, "theirs")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of this process: `clock[0] += 5` lets five seconds pass."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def write(leases: Leases, lease: Lease) -> Path:
    path = leases.folder / f"{KEY}.json"
    path.write_text(json.dumps(asdict(lease)))
    return path


def holder(leases: Leases) -> str:
    return json.loads((leases.folder / f"{KEY}.json").read_text())["run"]


def test_a_free_task_is_taken_and_given_back(leases: Leases) -> None:
    assert leases.acquire(KEY)
    assert leases.keys == {KEY}
    assert Lease(**json.loads((leases.folder / f"{KEY}.json").read_text())) == leases.mine
    leases.release(KEY)
    assert list(leases.folder.glob("*.json")) == []
    leases.release(KEY)


def test_a_lease_that_another_took_over_is_left_to_it(leases: Leases, stranger: Lease) -> None:
    assert leases.acquire(KEY)
    write(leases, stranger)  # this driver stood still for a minute
    leases.release(KEY)
    assert holder(leases) == "theirs"
    assert leases.keys == set()


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_leases_work_without(
    leases: Leases, stranger: Lease, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def none(*given: Any) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", none)
    assert leases.acquire(KEY)
    leases.release(KEY)
    write(leases, stranger)
    assert not leases.acquire(KEY)


def test_a_container_of_the_same_name_is_another_machine(leases: Leases, clock: list[float]) -> None:
    """Its process numbers are not ours: that ours has none of that number says nothing."""
    name, *rest = HERE.split()
    write(leases, Lease(" ".join([name, *rest[:-1], "pid:[1]"]), 2**22 + 1, 1.0, "theirs"))
    assert leases.live(KEY)
    clock[0] += STALE_AFTER
    assert not leases.live(KEY)


def test_a_live_process_keeps_its_task(leases: Leases, stranger: Lease, clock: list[float]) -> None:
    write(leases, stranger)
    assert not leases.acquire(KEY)
    clock[0] += 10 * STALE_AFTER  # of a process on this host no heartbeat is asked
    assert not leases.acquire(KEY)
    assert holder(leases) == "theirs"


def test_the_task_of_a_dead_process_is_taken_over_at_once(leases: Leases) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lease = Lease(HERE, process.pid, _process_start(process.pid) or -1.0, "theirs")
    write(leases, lease)
    assert leases.acquire(KEY)
    assert holder(leases) == "mine"


def test_a_process_that_ended_and_was_not_waited_for_is_dead(leases: Leases) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = _process_start(process.pid) or -1.0
    write(leases, Lease(HERE, process.pid, started, "theirs"))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert leases.acquire(KEY)
    finally:
        process.communicate()


def test_a_new_process_under_an_old_number_does_not_hold_the_task(leases: Leases, stranger: Lease) -> None:
    write(leases, Lease(HERE, stranger.pid, stranger.started - 1, "theirs"))
    assert leases.acquire(KEY)


def test_an_earlier_process_under_our_own_number_does_not_hold_the_task(leases: Leases) -> None:
    write(leases, Lease(HERE, os.getpid(), leases.mine.started - 1, "theirs"))
    assert leases.acquire(KEY)


def test_another_host_whose_heartbeat_moves_keeps_its_task(leases: Leases, clock: list[float]) -> None:
    path = write(leases, Lease("elsewhere", 1, 1.0, "theirs"))
    for beat in range(5):
        os.utime(path, ns=(beat, beat))
        assert not leases.acquire(KEY)
        clock[0] += STALE_AFTER - 1


def test_another_host_whose_heartbeat_stands_still_loses_its_task(leases: Leases, clock: list[float]) -> None:
    write(leases, Lease("elsewhere", 1, 1.0, "theirs"))
    assert not leases.acquire(KEY)
    clock[0] += STALE_AFTER - 1
    assert not leases.acquire(KEY)
    clock[0] += 1
    assert leases.acquire(KEY)
    assert holder(leases) == "mine"


@pytest.mark.parametrize("skew", [-(10**18), 10**18], ids=["long ago", "in the future"])
def test_the_clock_of_another_host_is_not_compared_with_ours(
    leases: Leases, clock: list[float], skew: int
) -> None:
    path = write(leases, Lease("elsewhere", 1, 1.0, "theirs"))
    beat = time.time_ns() + skew
    os.utime(path, ns=(beat, beat))
    assert not leases.acquire(KEY)
    os.utime(path, ns=(beat + 1, beat + 1))
    clock[0] += STALE_AFTER
    assert not leases.acquire(KEY)
    clock[0] += STALE_AFTER
    assert leases.acquire(KEY)


def test_a_lease_of_which_half_was_written_is_taken_over_when_nothing_moves(
    leases: Leases, clock: list[float]
) -> None:
    (leases.folder / f"{KEY}.json").write_text('{"host": "el')
    assert not leases.acquire(KEY)
    clock[0] += STALE_AFTER
    assert leases.acquire(KEY)


def test_a_heartbeat_touches_what_is_held(leases: Leases) -> None:
    leases.acquire(KEY)
    path = leases.folder / f"{KEY}.json"
    os.utime(path, ns=(0, 0))
    leases.beat()
    assert path.stat().st_mtime_ns > 0
    path.unlink()
    leases.beat()


def test_a_heartbeat_goes_on_while_leases_come_and_go(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        leases.acquire(f"{number:032x}")
    utime = os.utime
    beats = []

    def another_thread_takes_one(path: Path, *given: Any) -> None:
        beats.append(path)
        leases.acquire(f"{len(beats) + 10:032x}")
        utime(path, *given)

    monkeypatch.setattr(os, "utime", another_thread_takes_one)
    leases.beat()
    assert len(beats) == 3


@pytest.mark.parametrize("found", ["a dead lease", "none"])
def test_of_two_drivers_that_look_at_once_one_takes_the_lease(
    leases: Leases, tmp_path: Path, found: str
) -> None:
    """The second must not remove the lease that the first has taken since it looked."""
    if found == "a dead lease":
        write(leases, Lease(HERE, 2**22 + 1, 1.0, "dead"))
    code = (
        "import sys; from pathlib import Path; from bench.store import Leases\n"
        f"leases = Leases(Path({str(tmp_path)!r}), 'theirs'); live = leases.live\n"
        "def late(key):\n"
        "    found = live(key)\n"
        "    print('looked', flush=True); input()\n"
        "    return found\n"
        "leases.live = late\n"
        f"print(leases.acquire({KEY!r}), flush=True); input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "looked\n"
        mine: list[bool] = []
        thread = threading.Thread(target=lambda: mine.append(leases.acquire(KEY)))
        thread.start()
        other.stdin.write("go on\n")
        other.stdin.flush()
        theirs = other.stdout.readline() == "True\n"
        thread.join()
        other.stdin.write("end\n")
        other.stdin.flush()
    assert [theirs, *mine].count(True) == 1
    assert holder(leases) == ("theirs" if theirs else "mine")


def test_sweeping_removes_the_leases_of_the_dead_alone(leases: Leases, stranger: Lease) -> None:
    write(leases, stranger)
    leases.acquire("cd" * 16)
    dead = leases.folder / f"{'ef' * 16}.json"
    dead.write_text(json.dumps(asdict(Lease(HERE, 2**22 + 1, 1.0, "dead"))))
    elsewhere = leases.folder / f"{'01' * 16}.json"
    elsewhere.write_text(json.dumps(asdict(Lease("elsewhere", 1, 1.0, "far"))))
    leases.sweep()
    assert not dead.exists()
    assert len(list(leases.folder.glob("*.json"))) == 3
