"""Leases: which driver is making which task, so that two drivers on one store share the work.

A lease only saves work: the store stays right without it, since the first publisher wins.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.store.locks import locked

STALE_AFTER = 60.0
"""Seconds without a heartbeat after which the lease of another host is taken over."""


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
            path.unlink(missing_ok=True)
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:  # where `_one_at_a_time` has no lock, another may come between
                return False
            with os.fdopen(handle, "w") as out:
                json.dump(asdict(self.mine), out)
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

    def sweep(self) -> None:
        """Remove the leases that dead drivers left."""
        for path in self.folder.glob("*.json"):
            if path.stem not in self.keys:
                with self._one_at_a_time():
                    if not self.live(path.stem):
                        path.unlink(missing_ok=True)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Between the look at a lease and its end no other driver may take it: what is removed then would be
        the new one."""
        with locked(self.folder / ".lock"):  # where there are no locks two may make the same task
            yield

    def _read(self, key: str) -> Lease | None:
        """Who holds the task; None for nobody, and where half a lease was written."""
        try:
            return Lease(**json.loads((self.folder / f"{key}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _moves(self, key: str, beat: int) -> bool:
        now = time.monotonic()
        last, since = self._seen.get(key, (None, now))
        if last != beat:
            since = now
        self._seen[key] = (beat, since)
        return now - since < STALE_AFTER


def this_machine() -> str:
    """Where a process number means one process. Its name is not enough: containers, and hosts of a cluster,
    may share one."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _process_start(pid: int) -> float | None:
    """When the process started; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
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
