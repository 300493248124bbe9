"""The local executor: a few CPU slots, and one slot a GPU, on this machine."""

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from dataclasses import replace

from bench.run.jobs import Event, Job


class LocalExecutor:
    """Runs jobs in forks of one warm `python -m bench exec`."""

    def __init__(self, workers: int, gpus: int = 0) -> None:
        self.workers = workers
        self.gpus = tuple(range(gpus))
        self._jobs: dict[str, Job] = {}
        self._pending = b""
        self._process: subprocess.Popen[bytes] | None = None

    def slots(self, *, gpu: bool) -> int:
        on_gpu = sum(job.device != "cpu" for job in self._jobs.values())
        if gpu and self.gpus:
            return len(self.gpus) - on_gpu
        return self.workers - (len(self._jobs) - on_gpu)

    def submit(self, job: Job, *, gpu: bool) -> None:
        if gpu and self.gpus:
            used = Counter(running.device for running in self._jobs.values())
            device = min((f"cuda:{number}" for number in self.gpus), key=lambda name: used[name])
            job = replace(job, device=device)
        process = self._serving()
        assert process.stdin is not None
        self._jobs[job.key] = job
        try:
            process.stdin.write((json.dumps(job.as_json()) + "\n").encode())
            process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is read by `wait`, which ends every job it held

    def wait(self, timeout: float) -> list[Event]:
        """What happened since the last call; waits for something at most `timeout` seconds."""
        if self._process is None or self._process.stdout is None:
            return []
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout):
                return []
        chunk = os.read(self._process.stdout.fileno(), 1 << 20)
        if not chunk:
            return self._worker_died()
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        events = [_event(json.loads(line)) for line in lines if line]
        for event in events:
            if event.kind == "ended":
                self._jobs.pop(event.key, None)
        return events

    def close(self, *, kill: bool = False) -> None:
        """End the worker; with `kill` at once, with whatever it is doing."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        elif self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def _serving(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench", "exec"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the terminal reaches the driver alone
                env={**os.environ, **_QUIET},
            )
        return self._process

    def _worker_died(self) -> list[Event]:
        assert self._process is not None
        status = self._process.wait()
        self._process, self._pending = None, b""
        lost, self._jobs = list(self._jobs), {}
        return [Event("ended", key, exit=status or 70) for key in lost]


_QUIET = {
    "OPENBLAS_NUM_THREADS": "1",  # a thread that is started before a fork is lost in it
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what deterministic cuBLAS needs
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


def _event(message: dict) -> Event:
    if message["kind"] == "progress":
        done, total, note = message["told"]
        return Event("progress", message["key"], done, total, note)
    return Event("ended", message["key"], exit=message["exit"])
