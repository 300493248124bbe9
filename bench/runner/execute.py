"""Execute one job: run its stage aside, publish what it made, or record why it failed."""

import errno
import io
import json
import logging
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.methods.context import Context
from bench.methods.error_line import sentence_of
from bench.methods.registry import adapter_id, load_plugins, plugin_code
from bench.runner.jobs import OUT_OF_MEMORY, Job
from bench.runner.out_of_memory import is_want_of_memory
from bench.stages import stage_class
from bench.stages.stage import Output, StageRun
from bench.store import Store, open_store
from bench.store.integrity import damage
from bench.store.store import is_full
from bench.tasks import key_of

DONE, FAILED, DISK_FULL = 0, 1, 4
_LOG_TAIL = 4000
_TELL_EVERY = 0.2


def execute(job: Job, tell: Callable[[int, int, str], None]) -> int:
    """Run the job in this process; returns the exit status. `tell(done, total, note)` passes progress on."""
    store = open_store(Path(job.store))
    assert key_of(job.definition) == job.key, "the definition of a job is not that of its key"
    if job.aside is not None:
        return _execute_aside(job, store, Path(job.aside), tell)
    if store.done(job.key):
        return DONE
    with store.writing(job.key) as aside:
        log = aside / "log.txt"
        _redirect_output(log)
        try:
            started = time.monotonic()
            gpu = run_stage(job, store, aside / "out", tell)
            store.publish(
                aside,
                job.definition,
                seconds=round(time.monotonic() - started, 3),
                gpu_seconds=round(time.monotonic() - started, 3) if gpu else 0.0,
                peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + gpu,
                env=job.env,
                run=job.run,
                commit=job.commit,
            )
            return DONE
        except (Exception, SystemExit) as error:
            if _of_a_full_disk(error) or is_full(store.root):
                return DISK_FULL
            traceback.print_exc()
            sys.stderr.flush()
            why = _damaged_inputs(store, job) or error
            store.record_failure(job.key, failure_of(why, job.definition, log.read_text(errors="replace")))
            return OUT_OF_MEMORY if is_want_of_memory(error) else FAILED


def _execute_aside(job: Job, store: Store, aside: Path, tell: Callable[[int, int, str], None]) -> int:
    """Make the output of a done task again, beside the store; nothing is written into it."""
    log = aside / "log.txt"
    (aside / "out").mkdir()
    _redirect_output(log)
    try:
        run_stage(job, store, aside / "out", tell)
        return DONE
    except (Exception, SystemExit) as error:
        if _of_a_full_disk(error) or is_full(aside):
            return DISK_FULL
        if is_want_of_memory(error):
            return OUT_OF_MEMORY
        failure = failure_of(error, job.definition, log.read_text(errors="replace"))
        (aside / "failure.json").write_text(json.dumps({**failure, "kind": type(error).__name__}))
        return FAILED


def set_damaged_aside(store: Store, key: str, fault: str) -> Path | None:
    """Move a damaged task into the folder damaged/ and note why, so that the next look makes it anew.

    Returns where it lies; None where another took it away first.
    """
    try:
        definition = store.definition(key)
    except BenchError:
        definition = {}
    with store.planning():
        aside = store.set_aside(key)
        if aside is not None:
            why = BenchError(f"it was damaged ({fault}) and lies in {aside}; run the same command again")
            store.record_failure(key, {**failure_of(why, definition, ""), "damaged": True})
    return aside


def _damaged_inputs(store: Store, job: Job) -> BenchError | None:
    """Why a job failed, where that is damage to what it was to read: the damaged task is set aside."""
    faults = {key: damage(store, key) for _, key in job.definition["inputs"]}
    for key, fault in faults.items():
        if fault:
            set_damaged_aside(store, key, fault)
    reasons = [f"its input {key[:12]} is damaged ({fault})" for key, fault in faults.items() if fault]
    return BenchError(f"{'; '.join(reasons)}; it was set aside, and is made anew") if reasons else None


def _of_a_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))


def failure_of(error: BaseException, definition: Any, log: str) -> dict[str, Any]:
    """What is stored about a failed task."""
    message = str(error) or type(error).__name__
    error_line = sentence_of(error, _code_of_plugin(definition))
    if is_want_of_memory(error):
        error_line = f"it found no more memory ({message.splitlines()[0]})"
    if "CUDA error" in message:
        # torch adds lines of advice for people who debug kernels
        reason = message.splitlines()[0]
        error_line = f"the GPU failed ({reason}); see nvidia-smi, then run the same command again"
    return {
        "definition": definition,
        "error": error_line,
        "host": socket.gethostname(),
        "time": time.time(),
        "log": log[-_LOG_TAIL:],
    }


def _code_of_plugin(definition: Any) -> Path | None:
    """The code of a task's method where it is a plug-in, whose author wants to know the line."""
    name, _, _ = definition.get("adapter", "").partition("@")
    return plugin_code(definition["stage"].partition(".")[0], name) if name else None


def run_stage(job: Job, store: Store, out: Path, tell: Callable[[int, int, str], None]) -> int:
    """Run the stage; returns the peak GPU memory in bytes, 0 on a CPU."""
    _settle_torch(job)
    load_plugins(job.plugins)
    definition = job.definition
    scratch = store.scratch(job.key) if job.aside is None else Path(job.aside) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    adapter = definition["adapter"].partition("@")[0]
    _check_adapter(definition)
    context = Context(
        seed=definition["seed"],
        stage=definition["stage"],
        adapter=adapter,
        category=definition["params"].get("category", ""),
        device=job.device,
        scratch=scratch,
        weights=Path(job.weights) if job.weights else None,
        deadline=None if job.time_limit is None else time.monotonic() + job.time_limit,
        frugal=job.frugal,
        progress=_throttled(tell),
        log=logging.getLogger("bench"),
    )
    run = StageRun(definition["params"], adapter, store.root / "sources", out, context)
    inputs = ((role, _output(store, key)) for role, key in definition["inputs"])
    stage_class(definition["stage"]).of(inputs).run(run)
    if job.device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(job.device)) or 1
    return 0


def _output(store: Store, key: str) -> Output:
    return Output(store.out(key), store.definition(key)["params"])


def _check_adapter(definition: Any) -> None:
    """Refuse to run other code than the key names: a plug-in file may have been edited since the plan."""
    name, _, _ = definition["adapter"].partition("@")
    if name:
        adapter = adapter_id(definition["stage"].partition(".")[0], name)
        if adapter != definition["adapter"]:
            raise BenchError(
                f"{definition['adapter']} was planned, but the code here is {adapter} now; "
                "run the same command again"
            )


def _settle_torch(job: Job) -> None:
    """The settings under which equal seeds give equal bits on one machine."""
    import torch

    torch.set_num_threads(job.threads)
    if job.threads > 1 or job.device != "cpu":  # one thread sums in one order; the call imports for seconds
        torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _throttled(tell: Callable[[int, int, str], None]) -> Callable[..., None]:
    last = 0.0

    def progress(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_EVERY or done == total:
            last = now
            tell(done, total, note[:200])

    return progress


def _redirect_output(log: Path) -> None:
    """Everything that the task prints goes to its log, also what C libraries print."""
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a killed task printed must be in its log
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr, force=True)
