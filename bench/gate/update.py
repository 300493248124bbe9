"""Moving a baseline: new values in, old ones into the history, with the reason."""

from collections.abc import Mapping
from dataclasses import replace

from bench.errors import BenchError
from bench.gate.baseline import Baseline, Entry, Speed, Update
from bench.gate.measured import Measured, Run, numeric
from bench.gate.metric_key import COMPARED, MetricKey
from bench.gate.rules import default_rules
from bench.tasks import digest


def updated(
    old: Baseline | None, run: Run | None, speeds: Mapping[str, float], *, reason: str, date: str
) -> Baseline:
    """The baseline after taking in a run, speed ratios, or both; what was not measured stays as it is.

    A run replaces all metrics: cells that it lacks are dropped. Raises BenchError for an empty reason, and
    for a run that did not end or in which a cell failed.
    """
    if not reason.strip():
        raise BenchError('--update needs a reason: --reason "why the numbers may change"')
    before = old or Baseline()
    number = before.updates[0].number + 1 if before.updates else 1
    environments, environment = dict(before.environments), ""
    entries, methods, rules = dict(before.entries), before.methods, before.rules
    if run is not None:
        _refuse_failures(run)
        environment = f"e{digest(run.environment)[:8]}"
        environments[environment] = run.environment
        if not rules:
            rules = default_rules(
                several_seeds=len(run.seeds) >= before.policy.seeds, gpu=run.on_gpu, ingested=run.ingested
            )
        methods = run.methods
        entries = {
            key: _entry(before, before.entries.get(key), metric, run, number)
            for key, metric in run.metrics.items()
            if metric.values
        }
    update = Update(
        number, date, reason.strip(), run.commit if run else "", environment, run.command if run else ""
    )
    updates = (update, *before.updates)
    used = {update.environment for update in updates}
    return replace(
        before,
        rules=rules,
        updates=updates,
        environments={name: facts for name, facts in environments.items() if name in used},
        methods=methods,
        entries=entries,
        speeds=_speeds(before, speeds, number),
    )


def _entry(before: Baseline, old: Entry | None, metric: Measured, run: Run, number: int) -> Entry:
    entry = Entry(number, metric.context, metric.n, metric.unit, metric.values, metric.source)
    if old is None or any(old.context[name] != metric.context[name] for name in COMPARED):
        return entry
    if old.values == metric.values:
        same_place = numeric(before.environment(old.update)) == numeric(run.environment)
        same_work = old.context == metric.context and old.source == metric.source
        unchanged = same_place and same_work and not run.mixed
        return old if unchanged else replace(entry, past=old.past)
    past = ((old.update, tuple(old.values.values())), *old.past)
    return replace(entry, past=past[: before.policy.history])


def _speeds(before: Baseline, speeds: Mapping[str, float], number: int) -> dict[str, Speed]:
    histories = dict(before.speeds)
    for name, ratio in speeds.items():
        history = histories[name].ratios if name in histories else ()
        histories[name] = Speed(((number, ratio), *history)[: before.policy.history + 1])
    return histories


def _refuse_failures(run: Run) -> None:
    failed: list[tuple[MetricKey, str]] = [
        (key, absent.note)
        for key, metric in run.metrics.items()
        for absent in metric.absent.values()
        if absent.status == "failed"
    ]
    if failed:
        key, note = failed[0]
        raise BenchError(
            f"{len(failed)} metrics failed and cannot become a baseline, {key} among them: {note}; "
            "mend that and run again"
        )
    if run.unfinished or not any(metric.values for metric in run.metrics.values()):
        raise BenchError(
            f"{run.unfinished} results of the run are not there yet; let `bench run` end, then update"
        )
