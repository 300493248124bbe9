"""The local executor: a few CPU slots, and the slots of each GPU, on this machine."""

from collections import Counter
from dataclasses import replace
from typing import Any

from bench.runner.channel import Channel
from bench.runner.jobs import Event, Job
from bench.runner.processes import end


class LocalExecutor:
    """Runs jobs in forks of one warm `python -m bench exec`; a GPU takes `per_gpu` jobs at once."""

    def __init__(self, workers: int, gpus: int = 0, per_gpu: int = 1) -> None:
        self.workers = workers
        self.gpus = tuple(range(gpus))
        self.per_gpu = per_gpu
        self._jobs: dict[str, Job] = {}
        self._worker = Channel("exec")

    def slots(self, *, gpu: bool) -> int:
        on_gpu = sum(job.device != "cpu" for job in self._jobs.values())
        if gpu and self.gpus:
            return len(self.gpus) * self.per_gpu - on_gpu
        return self.workers - (len(self._jobs) - on_gpu)

    def submit(self, job: Job, *, gpu: bool) -> None:
        if gpu and self.gpus:
            used = Counter(running.device for running in self._jobs.values())
            device = min((f"cuda:{number}" for number in self.gpus), key=lambda name: used[name])
            job = replace(job, device=device)
        self._jobs[job.key] = job
        self._worker.send(job.as_json())

    def wait(self, timeout: float) -> list[Event]:
        """What happened since the last call; waits for something at most `timeout` seconds."""
        messages = self._worker.receive(timeout)
        if messages is None:
            lost, self._jobs = self._jobs, {}
            for job in lost.values():
                end(job.name)
            return [Event("ended", key, exit=self._worker.status or 70) for key in lost]
        events = [event_of(message) for message in messages]
        for event in events:
            if event.kind == "ended":
                self._jobs.pop(event.key, None)
        return events

    def close(self, *, kill: bool = False) -> None:
        """End the worker; with `kill` at once, with whatever it is doing."""
        self._worker.close(kill=kill)
        for job in self._jobs.values():
            end(job.name)


def event_of(message: dict[str, Any]) -> Event:
    """The message of a worker, as the driver reads it."""
    if message["kind"] == "progress":
        done, total, note = message["state"]
        return Event("progress", message["key"], done, total, note)
    peak, starved = message.get("peak", 0), message.get("starved", False)
    return Event("ended", message["key"], exit=message["exit"], peak=peak, starved=starved)
