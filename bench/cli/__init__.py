"""The command line. Nothing heavy is imported here: `bench --help` answers at once."""

import sys


def main() -> None:
    """Entry point of `bench` and `defectbench`: errors are one sentence and exit code 2."""
    if sys.argv[1:2] == ["exec"]:
        from bench.run.worker import serve

        serve()
        return
    from bench.cli.app import app
    from bench.errors import BenchError

    debug = "--debug" in sys.argv
    try:
        from bench.cli.installation import check_packages

        check_packages()
        app([word for word in sys.argv[1:] if word != "--debug"])
    except BenchError as error:
        if debug:
            raise
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bench: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"bench: {str(error.strerror or error).lower()}{where}", file=sys.stderr)
        sys.exit(2)
