"""`bench gate`: have the metrics of the last run moved against a baseline?"""

import datetime
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cli.damage import print_damage
from bench.errors import BenchError
from bench.files import file_text
from bench.gate.baseline import Baseline
from bench.gate.baseline_file import parse, render
from bench.gate.json_junit import as_json, as_junit
from bench.gate.judge import judge
from bench.gate.measured import Run, run_of
from bench.gate.speed import judge_speed, ratios
from bench.gate.summary import as_markdown, as_text, headline
from bench.gate.update import updated
from bench.gate.verdict import Judgment
from bench.results.collect import collect
from bench.results.run import Results
from bench.runner.find_run import last_run
from bench.store import open_store
from bench.store.store import write_atomically


@dataclass(frozen=True)
class Outputs:
    """Files to write beside the table of the terminal."""

    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None

    def check(self) -> None:
        for path in (self.json, self.junit, self.markdown):
            if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
                raise BenchError(f"{path} cannot be written; name a file in a folder that exists")

    def write(self, judgment: Judgment, accept: str) -> None:
        if self.json is not None:
            write_atomically(self.json, as_json(judgment))
        if self.junit is not None:
            write_atomically(self.junit, as_junit(judgment))
        if self.markdown is not None:
            write_atomically(self.markdown, as_markdown(judgment, accept))


def gate_command(
    baseline: Path, store_root: Path, *, update: bool, reason: str, speed: Path | None, outputs: Outputs
) -> int:
    """Exit code 0: nothing moved; 1: something is worse, better or failed; 2: undecided."""
    outputs.check()
    if update and not reason.strip():
        raise BenchError('--update needs a reason: --reason "why the numbers may change"')
    if reason and not update:
        raise BenchError("--reason goes with --update; nothing is written without it")
    old = _read(baseline, needed=not update)
    speeds = None if speed is None else ratios(_text(speed), str(speed))
    results = _results(old, store_root, only_speed=speeds is not None)
    run = None if results is None else _run(results, store_root)
    damage = 0 if results is None else print_damage(store_root, results)
    if damage and update:
        raise BenchError("a baseline is not taken from damaged results; nothing was written")
    before = old or Baseline()
    judgment = _judged(before if old or not update else None, run, speeds)
    accept = f"bench gate --baseline {shlex.quote(str(baseline))} --update --reason '...'"
    if not update:
        print(as_text(judgment, accept), end="")
        outputs.write(judgment, accept)
        return damage or int(judgment.exit)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    after = updated(old, run, speeds or {}, reason=reason, date=today)
    _write(baseline, render(after))
    outputs.write(judgment, accept)
    change = "" if old is None else f"; before it, {headline(judgment)}"
    print(
        f"{baseline}: update {after.updates[0].number}, {len(after.entries)} metrics, "
        f"{len(after.speeds)} speeds{change}"
    )
    return 0


def _judged(baseline: Baseline | None, run: Run | None, speeds: dict[str, float] | None) -> Judgment:
    """Nothing is judged where there was no baseline yet."""
    if baseline is None:
        return Judgment(())
    metrics = judge(baseline, run).verdicts if run is not None else ()
    return Judgment(metrics + (judge_speed(baseline, speeds) if speeds is not None else ()))


def _results(old: Baseline | None, store_root: Path, *, only_speed: bool) -> Results | None:
    """Those of the last run of the store; none where speed alone is asked for and no store is there."""
    if only_speed and not (old and old.entries) and not (store_root / "store.json").exists():
        return None
    store = open_store(store_root)
    return collect(last_run(store)[1], store)


def _run(results: Results, store_root: Path) -> Run:
    """What is compared with the baseline."""
    store = open_store(store_root)
    plan = last_run(store)[1]
    run = run_of(results, lambda task: store.manifest(task).inputs)
    return replace(run, unfinished=sum(not store.done(key) for key in plan.goals))


def _read(path: Path, *, needed: bool) -> Baseline | None:
    if path.is_dir():
        raise BenchError(f"the baseline {path} is a folder; name a file")
    if not path.exists():
        if needed:
            raise BenchError(
                f"there is no baseline {path}; `bench gate --baseline {path} --update --reason ...` writes it"
            )
        return None
    return parse(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return file_text(path)
    except UnicodeDecodeError:
        raise BenchError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {str(error.strerror).lower()}") from None


def _write(path: Path, text: str) -> None:
    if not path.absolute().parent.is_dir():
        raise BenchError(f"the baseline {path} cannot be written: its folder does not exist")
    parse(text, str(path))  # a file that could not be read back must not replace one that can
    write_atomically(path, text)
