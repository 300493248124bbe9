import time
from pathlib import Path

import pytest

from bench.runner.journal import Journal, journals, newest_journal


def test_the_last_run_is_the_one_that_began_last_also_where_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, now in (("first", 3000.0), ("second", 1000.0), ("third", 2000.0)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        Journal(tmp_path / f"{name}.json").begin({"plan": f"{name}.plan"}, [], 0)
    assert [run["plan"] for run in journals(tmp_path)] == ["first.plan", "second.plan", "third.plan"]
    newest = newest_journal(tmp_path)
    assert newest is not None and newest["plan"] == "third.plan"
