"""The three rules: what became of each metric of a baseline in a run."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bench.errors import BenchError
from bench.gate.baseline import Baseline, Entry
from bench.gate.causes import causes, causes_of_absence, differing_fields
from bench.gate.measured import Measured, Run, numeric
from bench.gate.metric_key import MetricKey, by_name
from bench.gate.rules import Rule
from bench.gate.statistics import Shift, shift
from bench.gate.verdict import Judgment, Status, Verdict
from bench.metrics.bootstrap import holm

ROUNDING = 1e-9
"""Relative (absolute below 1): what the order of a sum may change in an exact metric."""
HALF_AN_IMAGE = 0.5


def judge(baseline: Baseline, run: Run) -> Judgment:
    """Hold a run against a baseline."""
    verdicts: dict[MetricKey, Verdict] = {}
    family: dict[MetricKey, Shift] = {}
    stochastic = _stochastic_family_size(baseline)
    for key in by_name({*baseline.entries, *run.metrics}):
        entry, metric = baseline.entries.get(key), run.metrics.get(key)
        rule = baseline.rule(key)
        if rule is None:
            raise BenchError(
                f"no rule of the baseline covers {key}; end its rules with one that has no pattern"
            )
        if entry is None:
            verdicts[key] = _new(key, metric, rule)
            continue
        verdict = _unable(key, entry, metric, rule)
        if verdict is None and metric is not None:
            verdict = _RULES[rule.rule](key, entry, metric, rule, baseline, run)
            if verdict.status == "within" and rule.rule == "stochastic":
                family[key] = _shift(entry, metric, rule, baseline, stochastic)
        assert verdict is not None
        verdicts[key] = verdict
    verdicts.update(_tested(verdicts, family, baseline.policy.alpha))
    return Judgment(tuple(_with_causes(key, verdicts[key], baseline, run) for key in verdicts))


def _new(key: MetricKey, metric: Measured | None, rule: Rule) -> Verdict:
    after = tuple(metric.values.values()) if metric else ()
    if not after or rule.rule == "ignored":
        reason = _absence(metric) if metric and metric.absent else "not gated"
        return Verdict(key.cell, key.measure, "ignored", rule.rule, reason, after=after)
    return Verdict(key.cell, key.measure, "new", rule.rule, "not in the baseline yet", after=after)


def _unable(key: MetricKey, entry: Entry, metric: Measured | None, rule: Rule) -> Verdict | None:
    """The verdict on a metric that has no values to compare, or none that may be compared."""

    def verdict(status: Status, reason: str) -> Verdict:
        after = tuple(metric.values.values()) if metric else ()
        before = tuple(entry.values.values())
        return Verdict(key.cell, key.measure, status, rule.rule, reason, before, after)

    if rule.rule == "ignored":
        return verdict("ignored", "not gated")
    if metric is None:
        return verdict("missing", "the run has no such cell")
    if any(absent.status == "failed" for absent in metric.absent.values()):
        return verdict("failed", _absence(metric))
    if not metric.values:
        return verdict("missing", _absence(metric))
    differing = "; ".join(cause.sentence for cause in differing_fields(entry, metric))
    return verdict("incomparable", differing) if differing else None


def _exact(
    key: MetricKey, entry: Entry, metric: Measured, rule: Rule, baseline: Baseline, run: Run
) -> Verdict:
    def allowed(value: float) -> float:
        return ROUNDING * max(1.0, abs(value))

    return _by_seed(key, entry, metric, rule, allowed, "a pure function of fixed arrays")


def _deterministic(
    key: MetricKey, entry: Entry, metric: Measured, rule: Rule, baseline: Baseline, run: Run
) -> Verdict:
    if not run.mixed and numeric(run.environment) == numeric(baseline.environment(entry.update)):
        return _by_seed(key, entry, metric, rule, lambda value: 0.0, "one environment, equal bits")
    return _by_seed(key, entry, metric, rule, rule.allowed, "another environment, within the tolerance")


def _by_seed(
    key: MetricKey,
    entry: Entry,
    metric: Measured,
    rule: Rule,
    allowed: Callable[[float], float],
    held_to: str,
) -> Verdict:
    """Each seed against itself; the seed that moved furthest decides."""
    plain = Verdict(
        key.cell, key.measure, "same", rule.rule, held_to,
        tuple(entry.values.values()), tuple(metric.values.values()),
    )  # fmt: skip
    lacking = sorted(set(entry.values) - set(metric.values))
    if lacking:
        why = f": {_absence(metric)}" if metric.absent else ""
        return replace(plain, status="unclear", reason=f"seed {lacking[0]} of the baseline was not run{why}")
    changes = {seed: metric.sign * (metric.values[seed] - old) for seed, old in entry.values.items()}
    slack = {seed: allowed(old) for seed, old in entry.values.items()}
    worst = max(changes, key=lambda seed: (abs(changes[seed]) - slack[seed], changes[seed] < 0))
    change, room = changes[worst], slack[worst]
    status: Status = "same" if all(moved == 0.0 for moved in changes.values()) else "within"
    if abs(change) > room:
        status = "loss" if change < 0 else "gain"
    return replace(plain, status=status, change=change, allowed=room)


def _stochastic(
    key: MetricKey, entry: Entry, metric: Measured, rule: Rule, baseline: Baseline, run: Run
) -> Verdict:
    """Whether the test can be made; it is made once the whole family is known."""
    plain = Verdict(
        key.cell, key.measure, "within", rule.rule, "chance and the margin explain it",
        tuple(entry.values.values()), tuple(metric.values.values()),
    )  # fmt: skip
    fewest = min(len(entry.values), len(metric.values))
    if fewest < baseline.policy.seeds:
        side = "the baseline" if len(entry.values) == fewest else "the run"
        reason = f"{side} has {fewest} seeds of this, {baseline.policy.seeds} are needed"
        return replace(plain, status="unclear", reason=reason)
    return plain


_RULES: Mapping[str, Callable[..., Verdict]] = {
    "exact": _exact,
    "deterministic": _deterministic,
    "stochastic": _stochastic,
}


def _shift(entry: Entry, metric: Measured, rule: Rule, baseline: Baseline, family: int) -> Shift:
    before = list(entry.values.values())
    mean = sum(before) / len(before)
    return shift(
        before,
        list(metric.values.values()),
        [values for _, values in entry.past],
        sign=metric.sign,
        margin=rule.allowed(mean),
        floor=max(
            HALF_AN_IMAGE / entry.n if entry.unit == "fraction" and entry.n else 0.0,
            ROUNDING * max(1.0, abs(mean)),
        ),
        level=baseline.policy.alpha / family,
    )


def _stochastic_family_size(baseline: Baseline) -> int:
    rules = (baseline.rule(key) for key in baseline.entries)
    return max(1, sum(rule is not None and rule.rule == "stochastic" for rule in rules))


def _tested(
    verdicts: Mapping[MetricKey, Verdict], family: Mapping[MetricKey, Shift], alpha: float
) -> dict[MetricKey, Verdict]:
    """Verdicts of the stochastic family: losses and gains, each corrected by Holm's method."""
    if not family:
        return {}
    losses = holm([shifted.p_loss for shifted in family.values()])
    gains = holm([shifted.p_gain for shifted in family.values()])
    tested = {}
    for (key, shifted), loss, gain in zip(family.items(), losses, gains, strict=True):
        status: Status = "loss" if loss <= alpha else "gain" if gain <= alpha else "within"
        reason = verdicts[key].reason
        if status != "within":
            reason = f"beyond chance: {abs(shifted.change) / shifted.spread.sd:.1f} standard deviations" \
                if shifted.spread.sd else "seeds never varied before"  # fmt: skip
        tested[key] = replace(
            verdicts[key],
            status=status,
            reason=reason,
            change=shifted.change,
            p=float(min(loss, gain)),
            visible=shifted.visible,
        )
    return tested


def _with_causes(key: MetricKey, verdict: Verdict, baseline: Baseline, run: Run) -> Verdict:
    if verdict.status in ("same", "within", "new", "ignored"):
        return verdict
    metric = run.metrics.get(key)
    if metric is None:
        return replace(verdict, causes=causes_of_absence(baseline.at(baseline.entries[key].update), run))
    return replace(verdict, causes=causes(key, baseline.entries[key], metric, baseline, run))


def _absence(metric: Measured) -> str:
    seed, absent = min(metric.absent.items(), key=lambda item: (item[1].status != "failed", item[0]))
    return f"{absent.status}, seed {seed}: {absent.note}"
