"""`bench check`: the conformance suite on one method, built in or of your own."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.conformance.checks import Result
from bench.methods import registry


def check_command(kind: str, name: str, plugins: Sequence[Path], weights: Path | None) -> int:
    """Print each check; 0 if all that could run hold, 1 otherwise."""
    registry.load_plugins([str(path) for path in plugins])
    adapter = registry.load(kind, name)
    with tempfile.TemporaryDirectory() as folder:
        results = _results(kind, adapter, Path(folder), weights)
    for result in results:
        note = f": {result.note}" if result.note else ""
        print(f"{result.status:<8}{result.check.replace('_', ' ')}{note}")
    failed = sum(result.status == "failed" for result in results)
    print(f"{name}: {len(results) - failed} of {len(results)} hold" if failed else f"{name} conforms")
    return 1 if failed else 0


def _results(kind: str, adapter: type, folder: Path, weights: Path | None) -> list[Result]:
    if kind == "generator":
        from bench.conformance import generator

        return generator.run_checks(generator.GeneratorTrial(adapter, folder, weights=weights, outside=None))
    from bench.conformance import detector

    return detector.run_checks(detector.DetectorTrial(adapter, folder, weights=weights))
