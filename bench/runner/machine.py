"""How a machine, or a cluster, is used: from what the user asked to the driver of one run."""

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError
from bench.parallel import processors
from bench.runner.driver import Driver, Outcome, RunSettings
from bench.runner.jobs import Executor
from bench.runner.local import LocalExecutor
from bench.runner.view import RunView
from bench.store import Store
from bench.store.environment import code_commit, environment, store_environment
from bench.store.source_code import source_of
from bench.tasks import Task

_MEMORY_A_WORKER = 2 << 30


@dataclass(frozen=True)
class Machine:
    """How this machine is used; None leaves the choice to DefectBench."""

    workers: int | None = None
    threads: int = 1
    device: str = "auto"
    time_limit: float | None = None
    executor: Literal["local", "ray"] = "local"
    gpu_share: float = 1.0
    """Part of a GPU that a task on a GPU takes: 0.5 runs two on each."""
    task_memory: float = 0.0
    """GB of memory that a task takes of a Ray node; 0: it is not counted."""


def check_machine(machine: Machine) -> None:
    """Raise BenchError where this machine lacks what the user asked of it."""
    if machine.device == "cuda" and machine.executor == "local" and not environment()["gpus"]:
        raise BenchError("--device cuda: nvidia-smi lists no GPU on this machine; use --device auto")
    if machine.gpu_share > 1 and machine.gpu_share != int(machine.gpu_share):
        raise BenchError(f"--gpu-share {machine.gpu_share:g}: above one GPU it must be a whole number")
    if machine.gpu_share > 1 and machine.executor == "local":
        raise BenchError("--gpu-share above 1 is for --executor ray; a local task runs on one GPU")


def run_tasks(
    store: Store,
    goals: Sequence[Task],
    machine: Machine,
    view: RunView,
    about: Mapping[str, Any],
    *,
    weights: Path | None = None,
    plugins: Sequence[Path] = (),
) -> Outcome:
    """Run what is missing for some goals; `about` ("plan", "command") is kept in the journal of the run."""
    settings = RunSettings(
        run=f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
        env=store_environment(store, source_of(store), machine.threads),
        commit=code_commit(),
        threads=machine.threads,
        weights=str(weights.absolute()) if weights else None,
        plugins=tuple(str(path.absolute()) for path in plugins),
        time_limit=machine.time_limit,
    )
    return Driver(store, _executor(store, machine, view), settings, view).run(goals, dict(about))


def default_workers() -> int:
    """One worker a processor, as far as the memory goes."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return processors()
    return max(1, min(processors(), free // _MEMORY_A_WORKER))


def _executor(store: Store, machine: Machine, view: RunView) -> Executor:
    workers = machine.workers or default_workers()
    if machine.executor == "ray":
        from bench.runner.ray_executor import RayExecutor

        share = 0.0 if machine.device == "cpu" else machine.gpu_share
        return RayExecutor(
            store,
            workers,
            view.say,
            gpu_share=share,
            wait_for_gpus=machine.device == "cuda",
            memory=int(machine.task_memory * 1e9),
        )
    gpus = len(environment()["gpus"]) if machine.device in ("auto", "cuda") else 0
    return LocalExecutor(workers, gpus, per_gpu=int(1 / machine.gpu_share + 1e-9))
