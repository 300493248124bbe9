"""A store whose digests all agree, and whose files do not hold what their stages write."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench import api
from bench.api_results import RunResult
from bench.planning.banner import SAMPLE_NOTE, banner_of
from bench.planning.plan import load_plan
from bench.planning.protocol_file import load_protocol
from bench.results.collect import collect, records
from bench.runner.find_run import last_run
from bench.store import open_store
from bench.store.origin import uuid_of
from reports.files.terminal import print_leaderboard

Bench = Callable[..., Any]
Forge = Callable[[Path], None]


@pytest.fixture
def scored(written_store: Callable[..., Path], store: Path) -> Path:
    return written_store(store, {"none": (0.25, 0.5)})


def first_score(root: Path) -> Path:
    """The folder of the scoring task whose accuracy is 0.25."""
    (task,) = (
        rows.parents[1]
        for rows in root.glob("tasks/*/*/out/records.jsonl")
        if json.loads(rows.read_text())["value"] == 0.25
    )
    return task


def put(name: str, text: str) -> Forge:
    return lambda task: (task / "out" / name).write_text(text) and None


def edit(**changes: Any) -> Forge:
    """Change fields of the record."""

    def change(task: Path) -> None:
        rows = task / "out" / "records.jsonl"
        rows.write_text(json.dumps({**json.loads(rows.read_text()), **changes}) + "\n")

    return change


def put_draws(draws: np.ndarray) -> Forge:
    return lambda task: np.save(task / "out" / "replicates" / "classification.accuracy.npy", draws)


FORGERIES: dict[str, tuple[Forge, str]] = {
    "no JSON": (put("records.jsonl", "{{{\n"), "records.jsonl: it cannot be read"),
    "a list": (put("records.jsonl", "[1]\n"), "records.jsonl: 'value' is None where 'status' is 'ok'"),
    "a number": (put("records.jsonl", "7\n"), "records.jsonl: it cannot be read"),
    "not UTF-8": (
        lambda task: (task / "out" / "records.jsonl").write_bytes(b'{"value": "\xff"}\n') and None,
        "records.jsonl: it cannot be read",
    ),
    "a text as value": (edit(value="0.99"), "records.jsonl: 'value' is '0.99'"),
    "a list as note": (edit(note=[1]), "records.jsonl: 'note' is [1]"),
    "a fraction as count": (edit(n=1.5), "records.jsonl: 'n' is 1.5"),
    "a true value": (edit(value=True), "records.jsonl: 'value' is True"),
    "infinity": (edit(value=float("inf")), "records.jsonl: 'value' is inf"),
    "no value, ok": (edit(value=None), "records.jsonl: 'value' is None where 'status' is 'ok'"),
    "no such status": (edit(status="splendid"), "records.jsonl: 'status' is 'splendid'"),
    "no such direction": (edit(direction="sideways"), "records.jsonl: 'direction' is 'sideways'"),
    "printed in a paper": (edit(kind="published"), "records.jsonl: 'kind' is 'published'"),
    "of another cell": (edit(category="cable"), "records.jsonl: its category is not that of its task"),
    "dialects": (put("dialects.jsonl", "null\n"), "dialects.jsonl: it cannot be read"),
    "curves": (put("curves.json", '{"image": [1, 2]}'), "curves.json: it is not of the shape"),
    "draws of integers": (
        put_draws(np.arange(4)),
        "replicates/classification.accuracy.npy: it is not a line of float64",
    ),
    "draws in a table": (
        put_draws(np.ones((2, 2))),
        "replicates/classification.accuracy.npy: it is not a line of float64",
    ),
    "draws of objects": (
        lambda task: np.save(
            task / "out/replicates/classification.accuracy.npy", np.array([{}]), allow_pickle=True
        ),
        "replicates/classification.accuracy.npy: it cannot be read",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_no_stage_writes_is_a_failed_cell_with_its_file(
    name: str, scored: Path, match_manifest: Callable[..., None]
) -> None:
    forge, says = FORGERIES[name]
    task = first_score(scored)
    forge(task)
    match_manifest(task)
    rows = api.load(scored).set_index("category")
    assert rows["status"].to_dict() == {"bolt": "failed", "tile": "ok"}
    assert says in rows["note"]["bolt"]


@pytest.mark.parametrize("name", ["no JSON", "draws in a table"])
def test_every_command_answers_in_one_sentence(
    name: str, bench: Bench, scored: Path, tmp_path: Path, match_manifest: Callable[..., None]
) -> None:
    task = first_score(scored)
    FORGERIES[name][0](task)
    match_manifest(task)
    at = ("--store", scored)
    gate = ("gate", "--baseline", tmp_path / "b.toml", "--update", "--reason", "r", *at)
    codes = {"report": ("report", *at), "compare": ("compare", scored, scored), "gate": gate}
    codes |= {"csv": ("export", tmp_path / "a.csv", *at), "md": ("export", tmp_path / "a.md", *at)}
    for words in codes.values():
        result = bench(*words)
        assert result.code in (1, 2), result
        assert f"{task.name} (" in result.err
        assert "unforeseen" not in result.err
    assert f"{task.name}: {FORGERIES[name][1]}" in bench("verify", "--store", scored).out


def test_fields_that_no_record_has_are_not_read(scored: Path, match_manifest: Callable[..., None]) -> None:
    task = first_score(scored)
    edit(luck=1, origin="nobody")(task)
    match_manifest(task)
    row = api.load(scored).set_index("category").loc["bolt"]
    assert (row["value"], row["origin"]) == (0.25, "")


def test_the_records_of_a_run_remember_what_was_hashed(scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.store.checked._SETTLED_NS", -1)
    (plan,) = (scored / "runs").glob("*.plan")
    assert len(RunResult("done", open_store(scored), load_plan(plan), ()).records()) == 2
    assert first_score(scored).name in (scored / "runs" / "hashed").read_text()


def test_a_plan_that_drops_the_banner_makes_no_page_without_it(
    bench: Bench,
    written_store: Callable[..., Path],
    store: Path,
    tmp_path: Path,
    match_manifest: Callable[..., None],
) -> None:
    """Records name the sample data set, embedded features, the protocol and the scale."""
    spec = load_protocol("mvtec_supervised")
    written_store(store, {"none": (0.25, 0.5)}, categories=("washer", "tile"), protocol_version=spec.version)
    edit(features="embedded: EfficientNet-Lite0")(first_score(store))
    match_manifest(first_score(store))
    assert bench("report", "--store", store, "--out", tmp_path / "site").code == 0
    with_numbers = [*(tmp_path / "site").glob("*/*.html"), tmp_path / "site" / "index.html"]
    pages = [page.read_text() for page in with_numbers]
    for sentence in (SAMPLE_NOTE, "compare with nothing published", spec.scales["smoke"].note):
        assert all(sentence in page for page in pages), sentence


def test_a_banner_that_a_plan_states_is_there_once(written_store: Callable[..., Path], store: Path) -> None:
    spec = load_protocol("mvtec_supervised")
    written_store(store, {"none": (0.25, 0.5)}, protocol_version=spec.version)
    (path,) = (store / "runs").glob("*.plan")
    plan = load_plan(path)
    stated = f"A sentence of its own. {spec.scales['smoke'].note}"
    assert banner_of(stated, records(plan, open_store(store))) == stated
    assert banner_of("", records(plan, open_store(store))) == spec.scales["smoke"].note
    assert banner_of("", ()) == ""


def test_a_merged_row_is_marked_on_the_page_in_markdown_and_on_the_terminal(
    bench: Bench, written_store: Callable[..., Path], store: Path, tmp_path: Path
) -> None:
    theirs = written_store(tmp_path / "theirs", {"perlin": (0.25, 0.5)})
    written_store(store, {"none": (0.25, 0.5), "perlin": (0.25, 0.5)})
    for task in (store / "tasks").glob("*/*"):
        if "perlin" in (task / "task.json").read_text():
            open_store(store).remove(task.name)
    assert bench("merge", theirs, "--store", store).code == 0
    sentence = f"‡ perlin: merged from store {uuid_of(open_store(theirs))}, not made here"
    assert bench("report", "--store", store, "--out", tmp_path / "site").code == 0
    marked = [page for path in (tmp_path / "site").rglob("*.html") if sentence in (page := path.read_text())]
    assert any("<bdi>perlin ‡</bdi>" in page for page in marked)
    assert not any("real third only ‡" in page for page in marked)
    assert bench("export", tmp_path / "a.md", "--store", store).code == 0
    markdown = (tmp_path / "a.md").read_text()
    assert "| perlin ‡ |" in markdown
    assert sentence in markdown
    opened, out = open_store(store), io.StringIO()
    print_leaderboard(collect(last_run(opened)[1], opened), Console(file=out))
    assert "perlin ‡" in out.getvalue()
    assert sentence in out.getvalue()


def test_a_report_names_the_plans_that_it_leaves_out(
    bench: Bench, written_store: Callable[..., Path], store: Path, tmp_path: Path
) -> None:
    written_store(store, {"none": (0.25, 0.5)}, run="20260101-000000-aaaa")
    (other,) = (store / "runs").glob("*.plan")
    written_store(store, {"none": (0.25, 0.75)}, run="20260102-000000-aaaa")
    other.write_text("{}")
    result = bench("report", "--store", store, "--out", tmp_path / "site")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert f"what runs/{other.name} asked for may be missing on the pages" in result.err
    assert f"runs/{other.name}: " in bench("verify", "--store", store).out
