"""Records as a pandas DataFrame."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import get_args

import pandas as pd

from bench.errors import BenchError
from bench.planning.plan import Plan
from bench.published import published_records
from bench.record.record import UNKNOWN_COUNT, Record
from bench.results.collect import records
from bench.results.of_store import plans
from bench.runner.find_run import plan_of_run
from bench.store import open_store
from bench.store.checked import checked


def load_frame(store: str | PathLike[str], run: str | None, *, published: bool) -> pd.DataFrame:
    """The records of a store, or of one of its runs; see `bench.load`."""
    opened = checked(open_store(Path(store)))
    chosen = plans(opened) if run is None else [plan_of_run(opened, run)]
    if not chosen:
        raise BenchError(
            f"nothing was run in the store {opened.root} yet; `bench run` or `bench score` does that"
        )
    # runs share tasks: each value once, in the order of the newest run that has it
    measured = dict.fromkeys(record for plan in chosen for record in records(plan, opened))
    opened.remember()
    return frame_of([*measured, *(_printed(chosen) if published else ())])


def _printed(chosen: Iterable[Plan]) -> Iterator[Record]:
    for protocol in dict.fromkeys(plan.about["protocol"] for plan in chosen):
        yield from published_records(protocol)


def frame_of(rows: Iterable[Record]) -> pd.DataFrame:
    """A DataFrame with a column for every field of a record, in their order."""
    records_as_dicts = [vars(row) for row in rows]
    columns = {}
    for field in fields(Record):
        values = [row[field.name] for row in records_as_dicts]
        kinds = get_args(field.type) or (field.type,)
        if float in kinds:
            columns[field.name] = pd.Series(values, dtype="float64")
        elif int in kinds:
            counts = [None if value == UNKNOWN_COUNT else value for value in values]
            columns[field.name] = pd.Series(counts, dtype="Int64")
        else:
            columns[field.name] = pd.Series(values, dtype="str")
    return pd.DataFrame(columns)
