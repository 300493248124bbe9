"""What passes between a driver and its executor."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Job:
    """One task to execute, and how on this machine; plain JSON, since it crosses process borders."""

    key: str
    definition: Mapping[str, Any]
    store: str
    run: str
    env: str
    commit: str
    device: str = "cpu"
    threads: int = 1
    weights: str | None = None
    plugins: tuple[str, ...] = ()
    time_limit: float | None = None
    """Seconds after which the task is stopped."""
    frugal: bool = False
    """Whether the task is to do with less memory, where its method can."""
    aside: str | None = None
    """Folder that takes the output in place of the store: `bench verify` compares the two."""

    @property
    def name(self) -> str:
        """What the processes of this job are known by on a machine."""
        return f"{self.run}.{self.key}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


OUT_OF_MEMORY = 5
"""Exit status of a task in which an allocation failed."""
TIMED_OUT = 124
"""Exit status of a task that was stopped at its time limit, as of the command `timeout`."""


@dataclass(frozen=True)
class Event:
    """A message of an executor: a task moved on, ended, or failed."""

    kind: Literal["progress", "ended"]
    key: str
    done: int = 0
    total: int = 0
    note: str = ""
    exit: int = 0
    """Exit status of the task's process; negative: the signal that ended it."""
    peak: int = 0
    """Bytes of memory that the process had at most, 0 where that is unknown."""
    starved: bool = False
    """Whether the system killed a process for want of memory while the task ran, and this one was killed."""


class Executor(Protocol):
    """Runs jobs somewhere, each in a process of its own that shares nothing but the store."""

    def slots(self, *, gpu: bool) -> int:
        """How many more jobs of this kind can be taken now."""
        ...

    def submit(self, job: Job, *, gpu: bool) -> None: ...

    def wait(self, timeout: float) -> list[Event]: ...

    def close(self, *, kill: bool = False) -> None: ...
