"""The generator `acts`, whose fit goes wrong in the way that its parameter names."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.methods import Generator, Params, Sample


class ActsParams(Params):
    does: str = "write"
    at: str = ""
    """A folder in which each fit leaves its process id and a log of when it began and ended, or ""."""


class Acts(Generator):
    """Does in `fit` what its parameter says."""

    name, version, scope = "acts", 1, "category"
    needs, yields = frozenset(), frozenset({"anomaly", "mask"})
    Params, presets = ActsParams, {"tiny": {}}

    def fit(self, data, out, ctx):
        does, _, rest = self.params.does.partition(" ")
        print("fitting, which", does)
        (out / "partial").write_text("half a model")
        if not self.params.at:
            self._act(does, rest, ctx)
            return
        at = Path(self.params.at)
        (at / f"begun-{os.getpid()}").touch()
        self._log(f"begin {does}")
        self._act(does, rest, ctx)
        time.sleep(0.2)
        self._log(f"end {does}")

    def _log(self, event):
        with (Path(self.params.at) / "log").open("a") as log:
            log.write(f"{event} {time.monotonic_ns()}\n")

    def _act(self, does, rest, ctx):
        first = not (ctx.scratch / "again").exists()
        if does.endswith("-once"):
            (ctx.scratch / "again").touch()
        match does:
            case "fail":
                raise ValueError("no convergence")
            case "print":
                print("x" * 20_000 + " the end")
                raise RuntimeError("printed enough")
            case "allocate":
                np.empty(1 << 60, np.uint8)
            case "lose-the-gpu-once" if first:
                raise RuntimeError(
                    "CUDA error: unspecified launch failure\nCUDA kernel errors might be "
                    "asynchronously reported at some other API call."
                )
            case "run-out-of-gpu-memory":
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            case "exit":
                sys.exit(3)
            case "vanish":
                os._exit(9)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "die-once" if first:
                os.kill(os.getpid(), signal.SIGKILL)
            case "take-the-worker":
                os.kill(os.getppid(), signal.SIGKILL)
                signal.pause()
            case "hang":
                signal.pause()
            case "wait-for":
                (ctx.scratch / "began").touch()
                while not Path(rest).exists():
                    time.sleep(0.01)
            case "leave-processes":
                self._leave_processes()
                os._exit(9)
            case "hang-with-processes":
                self._leave_processes()
                signal.pause()

    def _leave_processes(self):
        """A child, a child in a session of its own, and a fork, which outlive the task."""
        wait = [sys.executable, "-c", "import time; time.sleep(600)", self.params.at]
        subprocess.Popen(wait)
        subprocess.Popen(wait, start_new_session=True)
        if os.fork() == 0:
            (Path(self.params.at) / f"forked-{os.getpid()}").touch()
            time.sleep(600)

    def sample(self, model, data, request, ctx):
        for _ in request.indices:
            image = np.zeros((data.resolution, data.resolution, 3), np.uint8)
            yield Sample(image, np.ones(image.shape[:2], bool))
