"""Leases: which driver is making which task, so that two drivers on one store share the work.

A lease only saves work: the store stays right without it, since the first publisher wins.
"""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.store.locks import locked
from bench.store.notes import Types, read_note

STALE_AFTER = 60.0
"""Seconds without a heartbeat after which the lease of another host is taken over."""
_FIELDS: Types = {"host": str, "pid": int, "started": (int, float), "run": str}


@dataclass(frozen=True)
class Lease:
    """Who holds a task."""

    host: str
    """`this_machine` of the process."""
    pid: int
    started: float
    """Start time of the process in clock ticks since boot; an older process of this number has another."""
    run: str


class Leases:
    """The leases of one driver; `beat` is to be called every few seconds."""

    def __init__(self, root: Path, run: str) -> None:
        self.folder = root / "leases"
        self.mine = Lease(this_machine(), os.getpid(), _process_start(os.getpid()) or 0.0, run)
        self.keys: set[str] = set()
        self._seen: dict[str, tuple[int, float]] = {}

    def acquire(self, key: str) -> bool:
        """Take the lease of a task; False if a live driver holds it."""
        path = self.folder / f"{key}.json"
        with self._one_at_a_time():
            if self.live(key):
                return False
            _clear(path)
            aside = self.folder / f".{key}.{os.getpid()}"
            aside.write_text(json.dumps(asdict(self.mine)))  # whole before it counts: a kill leaves no half
            try:
                path.hardlink_to(aside)
            except FileExistsError:  # where `_one_at_a_time` has no lock, another may come between
                return False
            except OSError:  # a file system without hard links
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        self.keys.add(key)
        return True

    def release(self, key: str) -> None:
        """Give the lease back, unless another driver has taken it over: that one is not ours to remove."""
        self.keys.discard(key)
        with self._one_at_a_time():
            if self.ours(key):
                (self.folder / f"{key}.json").unlink(missing_ok=True)

    def ours(self, key: str) -> bool:
        """Whether this driver has the task still: another takes it over where this one stood still."""
        return self._read(key) == self.mine

    def beat(self) -> None:
        """Show that the leases of this driver are alive."""
        for key in tuple(self.keys):  # `acquire` and `release` go on in the thread of the driver
            with suppress(FileNotFoundError):
                os.utime(self.folder / f"{key}.json")

    def live(self, key: str) -> bool:
        """Whether another driver, alive, holds the task.

        On this host a process is asked for. Of another host the heartbeat must be seen to move: two clocks
        are never compared.
        """
        try:
            beat = (self.folder / f"{key}.json").stat().st_mtime_ns
        except FileNotFoundError:
            return False
        lease = self._read(key)
        if lease is not None and lease.host == self.mine.host:
            return lease.pid != self.mine.pid and _process_start(lease.pid) == lease.started
        return self._moves(key, beat)

    def holder(self, key: str) -> str:
        """Which run makes a task, for a person who waits for it; "" where nobody does."""
        lease = self._read(key)
        if lease is None:
            return ""
        if lease.host != self.mine.host:
            return f"run {lease.run} on {lease.host.partition(' ')[0]}"
        mend = f", which is stopped: `kill -CONT {lease.pid}` lets it go on" if _is_stopped(lease.pid) else ""
        return f"run {lease.run}, process {lease.pid}{mend}"

    def sweep(self) -> None:
        """Remove the leases that dead drivers left."""
        for path in self.folder.glob("*.json"):
            if path.stem not in self.keys:
                with self._one_at_a_time():
                    if not self.live(path.stem):
                        _clear(path)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Between the look at a lease and its end no other driver may take it: what is removed then would be
        the new one."""
        with locked(self.folder / ".lock"):  # where there are no locks two may make the same task
            yield

    def _read(self, key: str) -> Lease | None:
        """Who holds the task; None for nobody, and where the lease is damaged."""
        content = read_note(self.folder / f"{key}.json", _FIELDS)
        return Lease(**{name: content[name] for name in _FIELDS}) if content else None

    def _moves(self, key: str, beat: int) -> bool:
        now = time.monotonic()
        last, since = self._seen.get(key, (None, now))
        if last != beat:
            since = now
        self._seen[key] = (beat, since)
        return now - since < STALE_AFTER


def _clear(path: Path) -> None:
    """Remove a lease, also where something else lies in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def this_machine() -> str:
    """Where a process number means one process. Its name is not enough: containers, and hosts of a cluster,
    may share one."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _process_fields(pid: int) -> list[str]:
    """What Linux says of a process, its state first. OSError where there is none."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _is_stopped(pid: int) -> bool:
    try:
        return _process_fields(pid)[0] == "T"
    except OSError:
        return False


def _process_start(pid: int) -> float | None:
    """When the process started; None if there is none."""
    try:
        fields = _process_fields(pid)
        return None if fields[0] == "Z" else float(fields[19])
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0.0
    return 0.0
