"""The speed gate: how many times faster than its peer a path is, in one run of one machine.

Seconds of two machines say nothing of each other, and seconds of one busy machine little. The ratio to a peer
that was timed beside it says whether the path itself became slower.
"""

import json
from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.errors import BenchError
from bench.gate.baseline import Baseline
from bench.gate.verdict import Cause, Status, Verdict

RATIO = "times faster than the peer"
"""The name in pytest-benchmark's `extra_info`; a benchmark without it has no peer and is not gated."""


def ratios(text: str, name: str) -> dict[str, float]:
    """Benchmark name to ratio, from the JSON of `pytest --benchmark-json`. Raises BenchError."""
    try:
        measured = {
            _short(benchmark["fullname"]): float(benchmark["extra_info"][RATIO])
            for benchmark in json.loads(text)["benchmarks"]
            if RATIO in benchmark["extra_info"]
        }
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise BenchError(
            f"{name} is not a result of `pytest --benchmark-json` ({type(error).__name__}: {error})"
        ) from None
    wrong = [bench for bench, ratio in measured.items() if not 0 < ratio < float("inf")]
    if not measured or wrong:
        what = f"the ratio of {wrong[0]} is not positive" if wrong else f"no benchmark with '{RATIO}'"
        raise BenchError(f"{name}: {what}; each benchmark keeps it in its extra_info")
    return measured


def judge_speed(baseline: Baseline, measured: Mapping[str, float]) -> tuple[Verdict, ...]:
    """Compare ratios with the median of their history."""
    names = sorted({*baseline.speeds, *measured})
    return tuple(_verdict(baseline, name, measured.get(name)) for name in names)


def _verdict(baseline: Baseline, name: str, ratio: float | None) -> Verdict:
    labels: dict[str, Any] = {"cell": "speed", "measure": name, "rule": "speed"}
    if name not in baseline.speeds:
        assert ratio is not None
        return Verdict(**labels, status="new", reason="not in the baseline yet", after=(ratio,))
    history = tuple(value for _, value in baseline.speeds[name].ratios)
    usual = median(history)
    if ratio is None:
        return Verdict(**labels, status="missing", reason="this benchmark was not run", before=(usual,))
    slack = baseline.policy.slowdown
    status: Status = "loss" if ratio < usual / slack else "gain" if ratio > usual * slack else "within"
    causes = (Cause("code", f"{name} takes another time than it did, beside the same peer"),)
    return Verdict(
        **labels,
        status=status,
        reason=f"{ratio:.3g} times faster than the peer, usually {usual:.3g}",
        before=(usual,),
        after=(ratio,),
        change=ratio - usual,
        allowed=usual - usual / slack,
        causes=causes if status in ("loss", "gain") else (),
    )


def _short(fullname: str) -> str:
    """ "test_metrics_speed.py::test_x": without the folder, which is another where tests run elsewhere."""
    return str(fullname).rpartition("/")[2]
