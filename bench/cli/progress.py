"""Shows a run: one line per running task in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.cli.streams import terminal
from bench.plain_text import plain_line, without_steering
from bench.runner.jobs import Event
from bench.tasks import Task

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_EVERY = 15.0


class PlainView:
    """A line when a task begins to take long, one when it ends."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        """When a line was last printed for a task, by key."""
        self._ended = 0
        self._todo = 0
        self.has_begun = False

    def step(self, title: str) -> Callable[..., None]:
        return step_progress(title)

    def begin(self, todo: int, done: int) -> None:
        self.has_begun = True
        self._todo = todo
        self.say(f"{todo} tasks to run, {done} results are there")

    def started(self, task: Task) -> None:
        self._since[task.key] = self._shown[task.key] = time.monotonic()

    def progress(self, task: Task, event: Event) -> None:
        now = time.monotonic()
        if now - self._shown[task.key] >= _PLAIN_EVERY:
            self._shown[task.key] = now
            self.say(f"  {task.title}: {rate_and_rest(event, now - self._since[task.key])}")

    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None:
        seconds = time.monotonic() - self._since.pop(task.key)
        if again:
            return
        self._ended += 1
        how = f"FAILED: {error}" if error else f"{seconds:.1f} s"
        self.say(f"[{self._ended}/{self._todo}] {task.title}: {how}")

    def say(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        return None


class LiveView:
    """A line for each running task, with rate and time left, below the count of all."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}", markup=False),
            TimeElapsedColumn(),
            transient=True,
            console=Console(file=terminal()),
        )
        self._rows: dict[str, tuple[TaskID, float]] = {}
        self._all: TaskID | None = None
        self.has_begun = False

    def step(self, title: str) -> Callable[..., None]:
        return step_progress(title)

    def begin(self, todo: int, done: int) -> None:
        self.has_begun = True
        self._bars.start()
        self._all = self._bars.add_task("all tasks", total=todo, state=f"{done} results are there")

    def started(self, task: Task) -> None:
        self._rows[task.key] = (
            self._bars.add_task(plain_line(task.title), total=None, state=""),
            time.monotonic(),
        )

    def progress(self, task: Task, event: Event) -> None:
        row, since = self._rows[task.key]
        state = rate_and_rest(event, time.monotonic() - since)
        self._bars.update(row, completed=event.done, total=event.total, state=plain_line(state))

    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None:
        row, _ = self._rows.pop(task.key)
        self._bars.remove_task(row)
        if self._all is not None and not again:
            self._bars.advance(self._all)
        if error:
            self.say(f"FAILED {task.title}: {error}")

    def say(self, text: str) -> None:
        if self.has_begun:
            self._bars.console.print(without_steering(text), markup=False, highlight=False)
        else:
            print(text, flush=True)

    def close(self) -> None:
        self._bars.stop()


def terminal_view() -> "PlainView | LiveView":
    """The view that fits standard output."""
    return LiveView() if sys.stdout.isatty() else PlainView()


def rate_and_rest(event: Event, seconds: float) -> str:
    """ "120/500, 14.2/s, 27 s left, loss 0.031"."""
    if not event.total:
        return event.note
    rate = event.done / seconds if seconds > 0 else 0.0
    rest = f", {(event.total - event.done) / rate:.0f} s left" if rate > 0 else ""
    note = f", {event.note}" if event.note else ""
    return f"{event.done}/{event.total}, {rate:.1f}/s{rest}{note}"


def step_progress(title: str) -> Callable[..., None]:
    """The progress of one long step before the tasks: a line when it takes long enough to be noticed."""
    begun = last_line = time.monotonic()

    def progress(done: int, total: int, note: Any = "") -> None:
        nonlocal last_line
        now = time.monotonic()
        if now - last_line > 3 or (done == total and last_line > begun):
            last_line = now
            print(f"{title}: {done}/{total}", flush=True)

    return progress
