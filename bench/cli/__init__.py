"""The command line. Nothing heavy is imported here: `bench --help` answers at once."""

import errno
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_COLLECT_AFTER = (200_000, 20, 100)
_STOPPED = 130
_PIPE_CLOSED = 141


def main() -> None:
    """Entry point of `bench` and `defectbench`: errors are one sentence and exit code 2."""
    if sys.argv[1:2] == ["exec"]:
        from bench.runner.worker import serve

        serve()
        return
    if sys.argv[1:2] == ["ray"]:
        from bench.runner import ray_cluster

        ray_cluster.serve()
        return
    from bench.cli.streams import plain_streams

    with plain_streams(), _rare_collection():
        code = _run([word for word in sys.argv[1:] if word != "--debug"])
    sys.exit(code)


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Look for garbage rarely: a plan of 10,000 tasks lives to the end of its command."""
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(words: list[str]) -> int | None:
    """The exit code of one command."""
    try:
        from bench.installation import check_packages

        check_packages()
        from bench.cli.app import app

        code = _outcome(app, words or ["--help"])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _STOPPED
    except BrokenPipeError:  # whoever read has had enough
        return _silenced()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        code = _tell(error)
    if code == _STOPPED:  # typer makes it of Ctrl-C, and a drained run returns it
        print("bench: stopped; the same command goes on from here", file=sys.stderr)
    return code


def _outcome(app: Any, words: list[str]) -> int | None:
    try:
        return app(words, prog_name="bench", standalone_mode=False)
    except SystemExit as ended:  # of a broken pipe, which typer notices first
        if isinstance(ended.__context__, OSError) and ended.__context__.errno == errno.EPIPE:
            raise BrokenPipeError from None
        raise


def _silenced() -> int:
    from bench.cli.streams import silence

    for number in (1, 2):
        silence(number)
    return _PIPE_CLOSED


def _tell(error: Exception) -> int:
    """Print an error as one line; returns the exit code, 2 for what the user can mend."""
    from bench.errors import BenchError

    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return 2
    code = 2
    if isinstance(error, BenchError):
        sentence = str(error)
    elif hasattr(error, "format_message"):  # typer's own: its classes move between versions
        command = getattr(getattr(error, "ctx", None), "command_path", "bench")
        message = error.format_message().replace("Value error, ", "").rstrip(".?")
        sentence = f"{message[:1].lower()}{message[1:]}; see `{command} --help`"
    elif isinstance(error, OSError):
        sentence = _os_sentence(error)
    else:
        sentence = f"unforeseen {type(error).__name__}: {error}; --debug shows where, please report it"
        code = 70
    print(f"bench: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _os_sentence(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; free some space and run the same command again"
    return f"{error.strerror.lower() if error.strerror else error}{where}"
