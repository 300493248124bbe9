"""`python -m bench ray`: hands jobs to a Ray cluster and reports on them in JSON lines.

Ray is spoken to in a process of its own, so that a cluster whose head dies ends this process and not the
driver, which starts another one and hands its jobs over again. The first line of standard input is the
`Hello`; each further line is a job. On a node a job runs as on a local machine: in a fork of a warm
interpreter.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runner.jobs import Job
from bench.runner.line_reader import Lines
from bench.runner.local import LocalExecutor
from bench.store.environment import environment
from bench.store.source_code import source_digests

UNREACHABLE = 75
"""Exit status: there is no cluster, or there is none any more."""
TRIES = 5
"""How often a job is begun whose node or worker died."""
REFUSED = 78
"""Exit status of a job whose node differs from the driver."""
_PROBE_SECONDS = 60.0
_HEAD_SILENT = 10.0


@dataclass(frozen=True)
class Hello:
    """The first message to this process, before any job."""

    address: str
    """Of the head, host:port; "" for a cluster of this machine alone."""
    workers: int
    """CPU slots of the cluster of this machine alone."""
    gpu_share: float
    """Part of a GPU that a job on a GPU takes; above one GPU an integer; 0: all jobs run on CPUs."""
    wait_for_gpus: bool
    """Whether jobs for a GPU wait where the cluster has none, and do not run on a CPU then."""
    memory: int
    """Bytes of memory that a job takes; 0 asks for none."""
    store: str
    needs: Mapping[str, Any]
    """`node_facts` of the driver: what must be equal on every node."""


def node_facts(store: str) -> dict[str, Any]:
    """What decides results and must be equal wherever a run's jobs go.

    Cores, GPUs, the CPU and the host's name may differ; versions and the store may not.
    """
    facts = environment()
    identity = Path(store) / "store.json"
    try:
        uuid = json.loads(identity.read_text())["uuid"]
    except (OSError, ValueError, KeyError):
        uuid = ""
    return {
        "python": facts["python"],
        **{f"package {name}": version for name, version in facts["packages"].items()},
        **{f"source of {package}": sha256 for package, sha256 in source_digests().items()},
        f"the store {store}": uuid,
    }


def difference(needs: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """How a node differs from the driver, in words; "" where it does not."""
    parts = []
    for name in [*needs, *(name for name in facts if name not in needs)]:
        need, fact = needs.get(name, ""), facts.get(name, "")
        if need == fact:
            continue
        if name.startswith("the store"):
            parts.append(f"{name} is {'another one' if fact else 'not there'} (share its file system)")
        else:
            parts.append(f"{name} is {fact or 'missing'}, the driver has {need or 'none'}")
    return "; ".join(parts)


def serve() -> None:
    """Take jobs until standard input closes."""
    channel = os.dup(1)
    os.dup2(2, 1)  # a stray print must not be taken for a message
    lines = Lines(0)
    first_lines: list[bytes] = []
    while lines.open and not first_lines:
        first_lines = lines.read(1.0)
    if not first_lines:
        return
    first, *jobs = first_lines
    hello = Hello(**json.loads(first))
    cluster = _Cluster(hello, channel)
    cluster.check_nodes()
    while lines.open:
        for line in jobs:
            cluster.begin(json.loads(line))
        cluster.look(0.1)
        jobs = lines.read(0.0 if cluster.busy else 0.2)
    os._exit(0)


class _Cluster:
    """A Ray cluster that this process is connected to, and the jobs that it has."""

    def __init__(self, hello: Hello, channel: int) -> None:
        self.hello, self.channel = hello, channel
        self.running: dict[Any, dict[str, Any]] = {}
        """The stream of messages of a job, to the job."""
        self.tries: dict[str, int] = {}
        self.told_slots: tuple[int, int] | None = None
        self.next_look = 0.0
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray

            options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            if hello.address:
                if hello.address != "auto":
                    _connect(hello.address)  # Ray would try for minutes
                ray.init(hello.address, **options)
            else:
                ray.init(num_cpus=hello.workers, include_dashboard=False, **options)
        except Exception as error:
            self.say({"kind": "unreachable", "why": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
            os._exit(UNREACHABLE)
        self.ray = ray
        if hello.address:
            _watch(ray.get_runtime_context().gcs_address)

    @property
    def busy(self) -> bool:
        return bool(self.running)

    def check_nodes(self) -> None:
        """Ask every node for the facts that must be equal. A node that dies meanwhile is left out."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = self._living()
        probe = self.ray.remote(num_cpus=0, max_retries=2)(_probe)
        probes = [
            probe.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(self.hello.store)
            for node in nodes
        ]
        problems = []
        for node, ref in zip(nodes, probes, strict=True):
            try:
                facts = self.ray.get(ref, timeout=_PROBE_SECONDS)
                problem = difference(self.hello.needs, facts)
            except Exception as error:
                if all(node["NodeID"] != other["NodeID"] for other in self._living()):
                    continue  # Ray hears of a death some seconds late
                problem = f"it does not run our code ({str(error).strip().splitlines()[-1]})"
            if problem:
                problems.append(f"{node['NodeManagerHostname']}: {problem}")
        self.say({"kind": "nodes", "problems": problems})

    def _living(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def begin(self, job: dict[str, Any]) -> None:
        """Hand one job to Ray; {"job": …, "gpu": whether it wants one}."""
        wants_gpu = job["gpu"] and (self.hello.wait_for_gpus or self._gpu_slots() > 0)
        options: dict[str, Any] = {
            "num_cpus": 1,
            "num_gpus": self.hello.gpu_share if wants_gpu else 0,
            "max_retries": 0,  # a job that is lost is begun again here, where it is counted
            "num_returns": "streaming",
        }
        if self.hello.memory:
            options["memory"] = self.hello.memory
        stream = self.ray.remote(**options)(_perform).remote(job["job"], dict(self.hello.needs))
        self.running[stream] = job

    def look(self, timeout: float) -> None:
        """Pass on the messages of the jobs; begin those again whose node or worker died."""
        self._tell_slots()
        if not self.running:
            return
        streams: list[Any] = list(self.running)
        ready: list[Any]
        ready, _ = self.ray.wait(streams, num_returns=len(streams), timeout=timeout, fetch_local=False)
        for stream in ready:
            job = self.running.pop(stream)
            try:
                message: Any = self.ray.get(next(stream))
            except StopIteration:
                message = None
            except Exception as error:
                self._lost(job, error)
                continue
            if message is not None:
                self.say(message)
                if message["kind"] == "ended":
                    continue
            self.running[stream] = job

    def _lost(self, job: dict[str, Any], error: Exception) -> None:
        key = job["job"]["key"]
        if isinstance(error, self.ray.exceptions.OutOfMemoryError):  # Ray's own guard of a node's memory
            self.say({"kind": "ended", "key": key, "exit": -signal.SIGKILL, "starved": True})
            return
        self.tries[key] = self.tries.get(key, 1) + 1
        why = str(error).strip().splitlines()[0]
        if self.tries[key] > TRIES:
            self.say({"kind": "ended", "key": key, "exit": 70, "why": f"lost {TRIES} times: {why}"})
            return
        sys.stderr.write(f"{key}: {why}; begun again\n")
        self.begin(job)

    def _tell_slots(self) -> None:
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + 1.0
        has = self.ray.cluster_resources()
        cpus = int(has.get("CPU", 0))
        if self.hello.memory:
            cpus = min(cpus, int(has.get("memory", 0) // self.hello.memory))
        slots = (cpus, self._gpu_slots())
        if slots != self.told_slots:
            if self.told_slots and slots[1] == 0 < self.told_slots[1] and not self.hello.wait_for_gpus:
                for stream, job in self.running.items():
                    if job["gpu"]:  # no node can take it any more; it is begun again on a CPU
                        self.ray.cancel(stream, force=True)
            self.told_slots = slots
            self.say({"kind": "slots", "cpu": slots[0], "gpu": slots[1]})

    def _gpu_slots(self) -> int:
        share = self.hello.gpu_share
        return int(self.ray.cluster_resources().get("GPU", 0) / share + 1e-9) if share else 0

    def say(self, message: Mapping[str, Any]) -> None:
        try:
            os.write(self.channel, (json.dumps(message) + "\n").encode())
        except BrokenPipeError:
            os._exit(71)  # the driver is gone


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=2).close()


def _watch(address: str) -> None:
    """End this process when the head does not answer any more; Ray would wait for a minute and more."""

    def look() -> None:
        heard = time.monotonic()
        while time.monotonic() - heard < _HEAD_SILENT:
            try:
                _connect(address)
                heard = time.monotonic()
            except OSError:
                pass
            time.sleep(1.0)
        os._exit(UNREACHABLE)

    threading.Thread(target=look, daemon=True).start()


# --- what runs on the nodes ----------------------------------------------------------------------------

_here: list[LocalExecutor] = []


def _probe(store: str) -> dict[str, Any]:
    return node_facts(store)


def _perform(job: dict[str, Any], needs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run one job on this node, in a fork of an interpreter that lives as long as this worker of Ray."""
    import ray

    problem = difference(needs, node_facts(job["store"]))
    if problem:
        why = f"the node {socket.gethostname()} differs: {problem}"
        yield {"kind": "ended", "key": job["key"], "exit": REFUSED, "why": why}
        return
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # the interpreter outlives this job; its device is named
    numbers = ray.get_gpu_ids() if environment()["gpus"] else []
    device = f"cuda:{numbers[0]}" if numbers else "cpu"
    if not _here:
        _here.append(LocalExecutor(1))
    executor = _here[0]
    executor.submit(Job(**{**job, "device": device}), gpu=False)
    while True:
        for event in executor.wait(1.0):
            if event.kind == "progress":
                state = (event.done, event.total, event.note)
                yield {"kind": "progress", "key": event.key, "state": state}
            elif event.key == job["key"]:
                end = {"exit": event.exit, "peak": event.peak, "starved": event.starved}
                yield {"kind": "ended", "key": event.key, **end}
                return
