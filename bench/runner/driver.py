"""The driver: brings a store to a desired state, running what is missing and nothing else."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from bench.errors import BenchError
from bench.runner.execute import DISK_FULL, failure_of, set_damaged_aside
from bench.runner.jobs import TIMED_OUT, Event, Executor, Job
from bench.runner.journal import Journal
from bench.runner.out_of_memory import can_do_with_less, how_it_was_killed, wanted_memory
from bench.runner.view import RunView
from bench.store import Leases, Store
from bench.store.checked import checked
from bench.store.store import is_full
from bench.tasks import Task, closure

_HEARTBEAT = 5.0
_POLL = 0.25
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)
"""Ends that come from outside: the kernel that wants memory, a person, a scheduler."""


@dataclass(frozen=True)
class RunSettings:
    """What holds for every job of a run and is in no key."""

    run: str
    env: str
    commit: str
    threads: int = 1
    weights: str | None = None
    plugins: tuple[str, ...] = ()
    time_limit: float | None = None


@dataclass
class Outcome:
    """How a run ended: keys of tasks that ran, and of goals that have no result, with the reason."""

    ran: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Tasks that failed in this run."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Tasks that could not run because a task they rest on failed."""
    drained: bool = False
    """Whether the run was asked to stop before its end."""


def missing(store: Store, goals: Sequence[Task]) -> dict[str, Task]:
    """The tasks to run for these goals, by key, inputs before what uses them."""
    tasks: dict[str, Task] = {}
    visited: set[str] = set()
    stack = [(goal, False) for goal in reversed(goals)]
    if damaged := store.damaged():  # made again also where the results that were made from it are there
        stack[:0] = [(task, False) for key, task in closure(goals).items() if key in damaged]
    while stack:
        task, inputs_listed = stack.pop()
        if inputs_listed:
            tasks[task.key] = task
        elif task.key not in visited:
            visited.add(task.key)
            if not store.done(task.key):
                stack.append((task, True))
                stack.extend((task_in, False) for _, task_in in reversed(task.inputs))
    return tasks


class Driver:
    """Runs the missing tasks of some goals on an executor."""

    def __init__(self, store: Store, executor: Executor, settings: RunSettings, view: RunView) -> None:
        self.store = store
        self.executor = executor
        self.settings = settings
        self.view = view
        self.leases = Leases(store.root, settings.run)
        self.journal = Journal(store.root / "runs" / f"{settings.run}.json")
        self.outcome = Outcome()
        self._running: dict[str, Task] = {}
        self._killed: list[str] = []
        """Tasks that were killed, to be begun again when nothing else runs."""
        self._alone: set[str] = set()
        """Tasks that were begun again."""
        self._awaited: set[str] = set()
        """Makers of tasks that this run has said it waits for."""
        self._frugal: set[str] = set()
        """Those of them that are to do with less memory."""

    def run(self, goals: Sequence[Task], about: dict[str, Any]) -> Outcome:
        """Run what is missing for the goals. Returns how it went; raises BenchError where nothing can go on.

        Ctrl-C once drains: what runs is finished, nothing is begun. Ctrl-C twice stops at once. SIGTERM and
        SIGUSR1 count as Ctrl-C.
        """
        todo = self._missing(goals)
        self.view.begin(len(todo), len({goal.key for goal in goals} - todo.keys()))
        self.journal.begin(about, [goal.key for goal in goals], len(todo))
        self.store.sweep(self.leases.live)
        self.leases.sweep()
        beating = threading.Event()
        heart = threading.Thread(target=self._beat, args=(beating,), daemon=True)
        heart.start()
        kill = True
        try:
            with _draining(self._drain):
                self._work(todo)
                damaged = set() if self.outcome.drained else self.store.damaged()
                if damaged and damaged & closure(goals).keys():
                    self._begin_again(goals)
            kill = False
        finally:
            self.executor.close(kill=kill)
            beating.set()
            heart.join()
            for key in list(self.leases.keys):
                self.leases.release(key)
            self.journal.end(self.outcome.failed, self.outcome.blocked)
            self.view.close()
        return self.outcome

    def _missing(self, goals: Sequence[Task]) -> dict[str, Task]:
        """The tasks to run; those that are there but damaged are set aside first."""
        store = checked(self.store)
        todo = missing(store, goals)
        store.remember()
        for key in (key for key in todo if key in store.faults):
            aside = set_damaged_aside(self.store, key, store.faults[key])
            where = f"; it lies in {aside} now" if aside else ""
            self.view.say(f"{todo[key].title} is damaged ({store.faults[key]}) and is made anew{where}")
        return todo

    def _begin_again(self, goals: Sequence[Task]) -> None:
        """Make what failed because its inputs were damaged, from inputs that are made anew."""
        todo = self._missing(goals)
        for key in todo:
            self.outcome.failed.pop(key, None)
            self.outcome.blocked.pop(key, None)
        self._killed.clear()
        self._work(todo)

    def _work(self, todo: dict[str, Task]) -> None:
        order = _by_urgency(todo)
        waiting = {
            key: {task_in.key for _, task_in in task.inputs if task_in.key in todo}
            for key, task in todo.items()
        }
        users: dict[str, list[str]] = {}
        for key, inputs in waiting.items():
            for input_key in inputs:
                users.setdefault(input_key, []).append(key)
        ready = [key for key in order if not waiting[key]]
        elsewhere: set[str] = set()
        rank = {key: position for position, key in enumerate(order)}

        def finish(key: str) -> None:
            for user in users.get(key, ()):
                waiting[user].discard(key)
                if not waiting[user] and user not in self.outcome.blocked:
                    ready.append(user)
            ready.sort(key=rank.__getitem__)

        has_said_so = False
        while ready or self._running or elsewhere or self._killed:
            if self.outcome.drained and not has_said_so:
                has_said_so = True
                self.view.say("stopping: what runs is finished first; Ctrl-C again stops at once")
            if self.outcome.drained and not self._running:
                return
            if not self.outcome.drained:
                self._submit(todo, ready, elsewhere, finish)
            for event in self.executor.wait(_POLL):
                if event.kind == "progress":
                    self.journal.progress(event)
                    self.view.progress(self._running[event.key], event)
                elif self._was_killed(event):
                    self._set_aside(event)
                elif self._end(event):
                    finish(event.key)
                else:
                    self._block(event.key, users, todo)
            if not self._running and elsewhere:
                self._say_what_is_awaited(todo, elsewhere)
                time.sleep(_POLL)
            for key in sorted(elsewhere, key=rank.__getitem__):
                if self.store.done(key):
                    elsewhere.discard(key)
                    finish(key)
                elif not self.leases.live(key):
                    elsewhere.discard(key)
                    ready.insert(0, key)

    def _say_what_is_awaited(self, todo: dict[str, Task], elsewhere: set[str]) -> None:
        """Nothing is left but what other runs make: name it, once, and again when somebody stopped them."""
        holders = {key: self.leases.holder(key) for key in sorted(elsewhere)}
        awaited = sorted({holder for holder in holders.values() if holder} - self._awaited)
        if awaited:
            self._awaited.update(awaited)
            title = next(todo[key].title for key, holder in holders.items() if holder == awaited[0])
            more = f" and {len(elsewhere) - 1} more" if len(elsewhere) > 1 else ""
            self.view.say(f"waiting for {title}{more}, made by {'; '.join(awaited)}")

    def _submit(
        self, todo: dict[str, Task], ready: list[str], elsewhere: set[str], finish: Callable[[str], None]
    ) -> None:
        if self._running.keys() & self._alone:
            return
        if self._killed and not ready and not self._running:
            ready.append(self._killed.pop(0))
        for key in list(ready):
            task = todo[key]
            if self.executor.slots(gpu=task.resources.gpu) <= 0:
                continue
            ready.remove(key)
            if not self.leases.acquire(key):
                elsewhere.add(key)
                continue
            if self.store.done(key):
                self.leases.release(key)
                finish(key)
                continue
            # a failure of an earlier run must not be taken for the reason of this one
            self.store.clear_failure(key)
            self._running[key] = task
            self.journal.started(key, task.title)
            self.view.started(task)
            self.executor.submit(self._job(task), gpu=task.resources.gpu)

    def _job(self, task: Task) -> Job:
        settings = self.settings
        return Job(
            key=task.key,
            definition=task.definition,
            store=str(self.store.root),
            run=settings.run,
            env=settings.env,
            commit=settings.commit,
            threads=settings.threads,
            weights=settings.weights,
            plugins=settings.plugins,
            time_limit=settings.time_limit,
            frugal=task.key in self._frugal,
        )

    def _was_killed(self, event: Event) -> bool:
        """Whether the task may do better alone: it was killed, most likely because many wanted memory."""
        killed = event.exit in _KILLED or wanted_memory(event)
        return killed and event.key not in self._alone and not self.store.done(event.key)

    def _set_aside(self, event: Event) -> None:
        key, task = event.key, self._running.pop(event.key)
        self._killed.append(key)
        self._alone.add(key)
        why = f"{how_it_was_killed(event)}; it is begun again when nothing else runs"
        if wanted_memory(event) and can_do_with_less(task):
            self._frugal.add(key)
            why += ", in less memory"
        elif wanted_memory(event):
            why += ", as before: its method knows no way to the same result in less memory"
        self.journal.ended(key, again=why)
        self._give_back(key)
        self.view.ended(task, None, again=True)
        self.view.say(f"{task.title}: {why}")

    def _end(self, event: Event) -> bool:
        """Take note that a task ended; whether it is done."""
        task = self._running.pop(event.key)
        self.journal.ended(event.key)
        # writing to a mapped file of a full disk ends in SIGBUS
        if event.exit == DISK_FULL or (event.exit == -signal.SIGBUS and is_full(self.store.root)):
            raise BenchError(
                f"the disk of the store {self.store.root} is full; "
                "free some space and run the same command again"
            )
        self.outcome.ran += 1
        done = self.store.done(event.key)  # also where the process was killed just after it had published
        error = None if done else self._reason(task, event)
        self._give_back(event.key)
        self.view.ended(task, error)
        if error is not None:
            self.outcome.failed[event.key] = error
        return done

    def _give_back(self, key: str) -> None:
        """Clear what is left of a task and release it, unless another driver took it over and makes it."""
        if self.leases.ours(key):
            self.store.clear_attempts(key)
        self.leases.release(key)

    def _reason(self, task: Task, event: Event) -> str:
        failure = self.store.failure(event.key)
        again = ""
        if event.key in self._alone and (event.exit < 0 or wanted_memory(event)):
            less = ", in less memory" if event.key in self._frugal else ""
            did = "was killed" if event.exit < 0 else "found none"
            again = f"; it {did} again when it ran alone{less}"
        if event.exit > 0 and failure is not None:
            if again:
                failure["error"] += again
                self.store.record_failure(event.key, failure)
            return failure["error"]
        if event.exit == TIMED_OUT:
            why = f"it was stopped at its time limit of {self.settings.time_limit:g} s"
        elif event.exit < 0:
            why = how_it_was_killed(event) + again
        else:
            why = f"its process ended with status {event.exit}"
        log = self.store.log_of_killed(event.key)
        self.store.record_failure(event.key, failure_of(BenchError(why), task.definition, log))
        return why

    def _block(self, key: str, users: dict[str, list[str]], todo: dict[str, Task]) -> None:
        reason = f"{todo[key].title} failed: {self.outcome.failed[key]}"
        stack = list(users.get(key, ()))
        while stack:
            user = stack.pop()
            if user not in self.outcome.blocked:
                self.outcome.blocked[user] = reason
                stack.extend(users.get(user, ()))

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(_HEARTBEAT):
            self.leases.beat()

    def _drain(self) -> None:
        self.outcome.drained = True  # and no more: a print may be what the signal interrupted


def _by_urgency(todo: dict[str, Task]) -> list[str]:
    """Keys with the longest chain of work behind them first, then in the order of the plan."""
    height: dict[str, int] = dict.fromkeys(todo, 0)
    for key in reversed(todo):
        for _, task_in in todo[key].inputs:
            if task_in.key in height:
                height[task_in.key] = max(height[task_in.key], height[key] + 1)
    position = {key: number for number, key in enumerate(todo)}
    return sorted(todo, key=lambda key: (-height[key], position[key]))


class _draining:
    """While open, the first signal calls `drain`, the second raises KeyboardInterrupt.

    Ctrl-C, and what schedulers send some time before they kill: SIGTERM, SIGUSR1.
    """

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self, drain: Callable[[], None]) -> None:
        self.drain = drain
        self.is_draining = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._interrupted) for number in self.signals}

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.is_draining:
            raise KeyboardInterrupt
        self.is_draining = True
        self.drain()

    def __exit__(self, *exc: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
