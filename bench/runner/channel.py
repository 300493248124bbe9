"""A process of ours that is spoken to in JSON lines."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.installation import own_process
from bench.runner.line_reader import Lines


class Channel:
    """`bench COMMAND` of this installation, started at the first `send`; ended by `close`."""

    def __init__(self, command: str, log: Path | None = None) -> None:
        self.command = command
        self.log = log
        """Where its standard error goes; None: to ours."""
        self.status: int | None = None
        """Exit status of the process that ended last."""
        self._lines: Lines | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def open(self) -> bool:
        return self._process is not None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; where the process has just ended, `receive` returns None."""
        process = self._serving()
        assert process.stdin is not None
        try:
            process.stdin.write((json.dumps(message) + "\n").encode())
            process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, timeout: float) -> list[dict[str, Any]] | None:
        """What has come after waiting at most `timeout` seconds; None where the process ended."""
        if self._process is None or self._lines is None:
            return []
        lines = self._lines.read(timeout)
        if not lines and self._process.poll() is not None:
            # what it wrote last; what it started may hold its end of the pipe open
            lines = self._lines.read(0)
        elif not lines and self._lines.open:
            return []
        if not lines:
            self.status = self._process.wait()
            self._process = self._lines = None
            return None
        return [json.loads(line) for line in lines]

    def close(self, *, kill: bool = False) -> None:
        """End the process; with `kill` at once, with whatever it is doing."""
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
            log = None if self.log is None else self.log.open("ab")
            self._process = subprocess.Popen(
                own_process(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal reaches the driver alone
                env={**os.environ, **_QUIET},
            )
            if log is not None:
                log.close()
            assert self._process.stdout is not None
            self._lines = Lines(self._process.stdout.fileno())
        return self._process


_QUIET = {
    "OPENBLAS_NUM_THREADS": "1",  # a thread that is started before a fork is lost in it
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what deterministic cuBLAS needs
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
