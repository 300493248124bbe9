"""What shows a run to a person: the command line has views for terminals, a caller may bring its own."""

from collections.abc import Callable
from typing import Any, Protocol

from bench.runner.jobs import Event
from bench.tasks import Task


class RunView(Protocol):
    """Shows a run to a person."""

    def step(self, title: str) -> Callable[..., None]:
        """The function that shows the progress of one long step before the tasks: (done, total, note)."""

    def begin(self, todo: int, done: int) -> None: ...
    def started(self, task: Task) -> None: ...
    def progress(self, task: Task, event: Event) -> None: ...
    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None:
        """The task runs no more; `again`: it was killed, and will be begun once more."""

    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


class NoView:
    """Shows nothing."""

    def step(self, title: str) -> Callable[..., None]:
        return _nothing

    def begin(self, todo: int, done: int) -> None: ...
    def started(self, task: Task) -> None: ...
    def progress(self, task: Task, event: Event) -> None: ...
    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


def _nothing(*state: Any) -> None:
    return None
