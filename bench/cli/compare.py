"""`bench compare A B`: two stores, or two runs, cell by cell."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cli.inspect import last_run
from bench.errors import BenchError
from bench.methods import registry
from bench.results.collect import collect
from bench.results.run import Results
from bench.runner.find_run import plan_of_run
from bench.store import open_store

_MOST_REASONS = 12


def compare_command(first: str, second: str, store_root: Path, categories: bool, as_json: bool) -> None:
    """Print the difference of every cell; exit code 0, also where nothing can be compared."""
    sides = [_results(named, store_root) for named in (first, second)]
    found = registry.load_page("compare")(*sides)
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False, allow_nan=False))
        return
    print(f"first:  {first}: {_told(sides[0])}\nsecond: {second}: {_told(sides[1])}")
    shown = [each for each in found if categories or each.category == "mean"]
    if not shown:
        print("the two have no category in common, so there is nothing to compare")
        return
    _print(shown)
    verdicts = [each.verdict for each in shown]
    print("; ".join(f"{verdicts.count(each)} {each}" for each in dict.fromkeys(verdicts)))
    print("differences are second minus first; better and worse: beyond chance, after Holm's correction")


def _print(found: Sequence[Any]) -> None:
    category = ""
    width = max(len(each.title) for each in found)
    columns = [
        max(len(name), *(len(getattr(each, f"{name}_text")) for each in found))
        for name in ("first", "second", "difference")
    ]
    for each in found:
        if each.category != category:
            category = each.category
            heads = [
                name.rjust(w) for name, w in zip(("first", "second", "difference"), columns, strict=True)
            ]
            print(f"\n{category:<{width}}  {'  '.join(heads)}  verdict")
        texts = (each.first_text, each.second_text, each.difference_text)
        cells = "  ".join(text.rjust(w) for text, w in zip(texts, columns, strict=True))
        print(f"{each.title:<{width}}  {cells}  {each.verdict}")
    reasons = dict.fromkeys(reason for each in found for reason in each.reasons)
    print()
    for reason in list(reasons)[:_MOST_REASONS]:
        print(f"  {reason}")
    if len(reasons) > _MOST_REASONS:
        print(f"  and {len(reasons) - _MOST_REASONS} more reasons; --json has all")


def _told(results: Results) -> str:
    return f"{results.protocol} at scale {results.scale} on {results.dataset}"


def _results(named: str, store_root: Path) -> Results:
    """STORE, STORE@RUN, or a run of --store."""
    if Path(named).is_dir():
        store = open_store(Path(named))
        return collect(last_run(store)[1], store)
    root, at, run = named.rpartition("@")
    if not at and not store_root.is_dir():
        raise BenchError(
            f"'{named}' is no folder of a store, and there is no store {store_root} that it could be a run "
            "of; name a store, STORE@RUN, or a run of --store DIR"
        )
    store = open_store(Path(root) if at else store_root)
    return collect(plan_of_run(store, run), store)
