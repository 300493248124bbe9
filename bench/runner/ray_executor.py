"""The Ray executor: the jobs of a run over many machines, with GPU shares, CPU slots and memory.

The driver speaks to `bench.runner.ray_cluster`, a process of its own. A node or worker that dies costs the
job in flight, which is begun again; a head that dies costs the connection, which is tried for `patience`
seconds.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bench.errors import BenchError
from bench.runner.channel import Channel
from bench.runner.jobs import Event, Job
from bench.runner.local import event_of
from bench.runner.ray_cluster import Hello, node_facts
from bench.store import Store

_FIRST_ANSWER = 180.0
_RETRY_EVERY = 2.0


class RayExecutor:
    """Runs jobs on the cluster at RAY_ADDRESS (host:port or "auto"), else on a Ray of this machine alone."""

    def __init__(
        self,
        store: Store,
        workers: int,
        say: Callable[[str], None],
        *,
        gpu_share: float = 1.0,
        wait_for_gpus: bool = False,
        memory: int = 0,
        patience: float = 600.0,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise BenchError("--executor ray needs Ray: pip install 'defectbench[ray]'")
        self.say, self.patience = say, patience
        root = str(store.root.resolve())
        self.hello = Hello(
            address=os.environ.get("RAY_ADDRESS", ""),
            workers=workers,
            gpu_share=gpu_share,
            wait_for_gpus=wait_for_gpus,
            memory=memory,
            store=root,
            needs=node_facts(root),
        )
        self._cluster = Channel("ray", store.root / "runs" / "ray.log")
        self._jobs: dict[str, tuple[Job, bool]] = {}
        self._slots = (0, 0)
        self._lost_at: float | None = None
        self._connect()

    def slots(self, *, gpu: bool) -> int:
        on_gpu = sum(wants for _, wants in self._jobs.values()) if self._slots[1] else 0
        if gpu and self._slots[1]:
            return self._slots[1] - on_gpu
        return self._slots[0] - (len(self._jobs) - on_gpu)

    def submit(self, job: Job, *, gpu: bool) -> None:
        self._jobs[job.key] = (job, gpu)
        if self._cluster.open:
            self._cluster.send({"job": job.as_json(), "gpu": gpu})

    def wait(self, timeout: float) -> list[Event]:
        """What happened since the last call; a head that is gone is waited for, up to `patience` seconds."""
        if self._lost_at is not None:
            self._connect_again()
            return []
        messages = self._cluster.receive(timeout)
        if messages is None:
            self._lost_at = time.monotonic()
            self._slots = (0, 0)
            self.say("the Ray cluster is gone; waiting for it, what ran there is begun again")
            return []
        events = []
        for message in messages:
            self._heed_slots(message)
            if message["kind"] in ("progress", "ended"):
                if message["kind"] == "ended":
                    self._jobs.pop(message["key"], None)
                if "why" in message:
                    self.say(message["why"])
                events.append(event_of(message))
        return events

    def close(self, *, kill: bool = False) -> None:
        """Leave the cluster; Ray ends what this driver had on it."""
        self._cluster.close(kill=kill)

    def _connect(self) -> None:
        """Join the cluster and have its nodes checked. Raises BenchError where that cannot be."""
        self._cluster.send(asdict(self.hello))
        until = time.monotonic() + _FIRST_ANSWER
        while time.monotonic() < until:
            messages = self._cluster.receive(1.0)
            joined = False
            for message in messages or ():
                self._heed_slots(message)  # they are told once, maybe in one breath with the nodes
                if message["kind"] == "unreachable":
                    where = self.hello.address or "this machine"
                    raise BenchError(f"no Ray cluster could be joined at {where}: {message['why']}")
                if message["kind"] == "nodes":
                    if message["problems"]:
                        self._cluster.close(kill=True)
                        raise BenchError(
                            "nodes of the Ray cluster differ from this machine; make them equal or take them "
                            f"out: {' | '.join(message['problems'])}"
                        )
                    joined = True
            if joined:
                return
            if messages is None:
                raise BenchError(f"the process that joins the Ray cluster ended; see {self._cluster.log}")
        self._cluster.close(kill=True)
        raise BenchError(
            f"the Ray cluster did not answer within {_FIRST_ANSWER:g} s; see {self._cluster.log}"
        )

    def _heed_slots(self, message: dict[str, Any]) -> None:
        if message["kind"] == "slots":
            self._slots = (message["cpu"], message["gpu"])

    def _connect_again(self) -> None:
        assert self._lost_at is not None
        try:
            self._connect()
        except BenchError:
            self._cluster.close(kill=True)
            if time.monotonic() - self._lost_at > self.patience:
                raise
            time.sleep(_RETRY_EVERY)
            return
        self._lost_at = None
        self.say("the Ray cluster is back")
        for job, gpu in self._jobs.values():
            self._cluster.send({"job": job.as_json(), "gpu": gpu})
