"""The Ray executor on loopback nodes with pretended GPUs: nodes, workers and the head die by SIGKILL."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.runner.channel import Channel
from bench.runner.driver import Driver, RunSettings
from bench.runner.ray_cluster import difference, node_facts
from bench.runner.ray_executor import RayExecutor
from bench.store import Store
from bench.tasks import Task, closure

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.xdist_group("ray")

Fit = Callable[..., Task]
PATIENCE = 120.0
"""Seconds after which what was waited for will not come."""


class Nodes:
    """A head and some nodes, all on this machine."""

    def __init__(self, port: int) -> None:
        from ray.cluster_utils import Cluster

        self.port = port
        self.cluster = Cluster()
        self.cluster.add_node(num_cpus=1, include_dashboard=False, gcs_server_port=port)
        self.node = self.add()

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, num_gpus=2)

    def kill_node(self) -> None:
        """The second node and all its workers, with SIGKILL; another one takes its place."""
        self.cluster.remove_node(self.node, allow_graceful=False)
        self.node = self.add()

    def end(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    made = Nodes(port)
    yield made
    made.end()


@pytest.fixture
def on_ray(
    nodes: Nodes, acts: Path, store: Store, monkeypatch: pytest.MonkeyPatch, recording_view: Callable[[], Any]
) -> Callable[..., Any]:
    """Run goals on the cluster with the real driver."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)

    def run(goals: list[Task], **options: Any) -> Any:
        view = recording_view()
        settings = RunSettings("run", "env", "", plugins=(str(acts),))
        executor = RayExecutor(store, 2, view.say, **options)
        outcome = Driver(store, executor, settings, view).run(goals, {"plan": "none"})
        return outcome, view

    return run


def test_a_node_that_differs_is_named_with_what_differs(store: Store) -> None:
    here = node_facts(str(store.root))
    assert difference(here, here) == ""
    other = {**here, "package torch": "1.0", f"the store {store.root}": ""}
    told = difference(here, other)
    assert "package torch is 1.0, the driver has" in told
    assert f"the store {store.root} is not there (share its file system)" in told


def test_without_a_cluster_there_is_one_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(BenchError, match=r"no Ray cluster could be joined at 127\.0\.0\.1:1"):
        RayExecutor(store, 1, print)


def test_slots_told_in_one_breath_with_the_nodes_are_heard(
    store: Store, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told once: a driver that missed them waited for ever."""
    receive = Channel.receive

    def at_once(channel: Channel, timeout: float) -> list[dict[str, Any]]:
        until, held = time.monotonic() + PATIENCE, []
        while not {"nodes", "slots"} <= {message["kind"] for message in held}:
            assert time.monotonic() < until, "the cluster tells nothing"
            held += receive(channel, timeout) or []
        return held

    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    monkeypatch.setattr(Channel, "receive", at_once)
    executor = RayExecutor(store, 1, print)
    assert (executor.slots(gpu=False), executor.slots(gpu=True)) == (2, 2)
    executor.close()


def test_a_node_that_has_just_died_is_no_node_that_differs(
    store: Store, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray takes it for alive for some seconds more."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    nodes.kill_node()
    RayExecutor(store, 1, print).close()


def test_a_cluster_makes_what_a_machine_makes(
    store: Store, tmp_path: Path, fit: Fit, drive: Callable[..., Any], on_ray: Callable[..., Any]
) -> None:
    from bench.store import open_store

    goals = [fit("write", seed=seed) for seed in range(4)]
    outcome, _ = on_ray([*goals, fit("fail"), fit("die")], gpu_share=0.5)
    assert outcome.ran == 6
    failed, died = sorted(outcome.failed.values())
    assert failed == "acts.py:52, in _act: ValueError: no convergence"
    assert died.startswith("its process was killed by SIGKILL, most likely for want of memory (it had ")
    assert died.endswith(" GB); it was killed again when it ran alone")
    local = open_store(tmp_path / "local", create=True)
    drive(local, goals)
    for key in closure(goals):
        assert files_of(store, key) == files_of(local, key)


def test_a_node_and_a_worker_that_die_cost_the_task_in_flight(
    store: Store, tmp_path: Path, fit: Fit, nodes: Nodes, on_ray: Callable[..., Any]
) -> None:
    go = tmp_path / "go"
    goals = [fit(f"wait-for {go}", seed=seed) for seed in range(3)]
    with ThreadPoolExecutor(1) as aside:
        run = aside.submit(on_ray, goals)
        began(store, goals, 2, run)
        nodes.kill_node()
        os.kill(a_worker_of_ray(), signal.SIGKILL)
        go.touch()
        outcome, _ = run.result()
    assert (outcome.failed, outcome.blocked) == ({}, {})
    assert all(store.done(goal.key) for goal in goals)


@pytest.mark.full
def test_a_head_that_is_started_again_gets_the_tasks_again(
    store: Store, tmp_path: Path, fit: Fit, nodes: Nodes, on_ray: Callable[..., Any]
) -> None:
    go = tmp_path / "go"
    goals = [fit(f"wait-for {go}", seed=seed) for seed in range(3)]
    with ThreadPoolExecutor(1) as aside:
        run = aside.submit(on_ray, goals)
        began(store, goals, 2, run)
        nodes.end()
        go.touch()
        again = Nodes(nodes.port)
        nodes.cluster, nodes.node = again.cluster, again.node
        outcome, view = run.result()
    assert "the Ray cluster is back" in view.sentences
    assert (outcome.failed, outcome.blocked) == ({}, {})
    assert all(store.done(goal.key) for goal in goals)


def files_of(store: Store, key: str) -> Any:
    return json.loads((store.folder(key) / "manifest.json").read_text())["files"]


def began(store: Store, goals: list[Task], count: int, run: "Future[Any]") -> None:
    """Return when so many of the tasks of a run have begun."""
    until = time.monotonic() + PATIENCE
    while sum((store.scratch(goal.key) / "began").exists() for goal in goals) < count:
        if run.done():
            run.result()  # raises what ended it
        assert time.monotonic() < until, "the tasks did not begin"
        time.sleep(0.05)


def a_worker_of_ray() -> int:
    """A worker of Ray that has started an interpreter of ours."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                above = (Path("/proc") / str(parent) / "cmdline").read_bytes()
            except OSError:
                continue
            if b"exec" in words[2:4] and above.startswith(b"ray::"):
                return parent
        time.sleep(0.05)
    raise AssertionError("no worker of Ray runs a task")
