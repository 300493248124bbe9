"""`bench published list | show | audit | disagreements`: what papers printed, and where they contradict."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.published import Paper, Value, papers
from bench.published.audit import Outcome, audit
from bench.published.disagreements import disagreements, footnotes
from bench.published.facts import REQUIRED
from bench.published.load import AVERAGE
from bench.record.record import UNKNOWN, UNKNOWN_COUNT
from bench.record.why_not_comparable import METRICS

_EXAMPLES = 3
"""Findings of one method that are shown before the rest is counted."""
_COUNTS = ("resolution", "generated_per_type")


def list_command(as_json: bool) -> None:
    """The papers and their tables."""
    if as_json:
        _dump([_listed(paper) for paper in papers()])
        return
    for paper in papers():
        print(f"{paper.name}: {paper.title}; {len(paper.values):,} values")
        for number, title in paper.tables.items():
            extent = _extent(_of_table(paper, number))
            data, asked = ", ".join(extent["datasets"]), ", ".join(extent["protocols"])
            print(f"  table {number:>2}  {title}: {extent['values']} values; {data}; beside {asked}")


def show_command(paper: str, table: str | None, as_json: bool) -> None:
    """A table as printed, or all, with what is known of its protocol."""
    found = _paper(paper)
    if table is not None and table not in found.tables:
        raise BenchError(did_you_mean("table", table, found.tables, of=paper))
    numbers = list(found.tables) if table is None else [table]
    if as_json:
        _dump([_plain(value) for number in numbers for value in _of_table(found, number)])
        return
    for number in numbers:
        values = _of_table(found, number)
        print(f"{found.short}, Table {number}: {found.tables[number]}")
        for dataset, block in _grouped(values, lambda value: value.row["dataset"]).items():
            _show_block(dataset, block)
        _show_facts(values)


def audit_command(paper: str | None, everything: bool, as_json: bool) -> None:
    """Every contradiction, rule by rule; with a paper's name those that it takes part in."""
    outcomes = audit(papers())
    if paper is not None:
        short = _paper(paper).short
        outcomes = tuple(_of_paper(outcome, short) for outcome in outcomes)
    if as_json:
        _dump([asdict(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        _show_outcome(outcome, everything)
    total = sum(len(outcome.findings) for outcome in outcomes)
    print(f"{total} contradictions in {sum(len(each.values) for each in papers()):,} printed values")


def disagreements_command(name: str | None, as_json: bool) -> None:
    """Where papers and repositories disagree: all entries, or the one of this name ("D31" or "31")."""
    entries = disagreements()
    if name is not None:
        number = name.upper() if name.upper().startswith("D") else f"D{name}"
        if number not in entries:
            raise BenchError(f"unknown disagreement '{name}'; they are numbered D1 to D{len(entries)}")
        entries = {number: entries[number]}
    if as_json:
        _dump([entry.model_dump() for entry in entries.values()])
        return
    for entry in entries.values():
        print(f"{entry.name}: {entry.title}")
        print(f"  {entry.text}")
        print(f"  here: {entry.ours}")
        print(f"  sources: {'; '.join(entry.sources)}\n")


def _print_footnotes(indent: str, *texts: str) -> None:
    for line in footnotes(*texts):
        print(f"{indent}{line}")


def _show_outcome(outcome: Outcome, everything: bool) -> None:
    print(f"{len(outcome.findings)} {outcome.title} ({outcome.tested:,} tested)")
    groups = _grouped(
        outcome.findings, lambda each: (each.tables, each.generator, each.detector, each.dataset)
    )
    for (tables, generator, detector, dataset), members in groups.items():
        method = f"{generator} with {detector}" if detector else generator
        print(f"  {', '.join(tables)}: {method}, {dataset}")
        shown = members if everything else members[:_EXAMPLES]
        for each in shown:
            print(f"    {each.category}: {each.sentence}")
        if len(members) > len(shown):
            print(f"    and {len(members) - len(shown)} more; --all shows them")
        for explanation in dict.fromkeys(each.explanation for each in members if each.explanation):
            print(f"    perhaps: {explanation}")
            _print_footnotes("      ", explanation)
    if outcome.clean:
        print(f"  nothing in {', '.join(outcome.clean)}")
    print()


def _of_paper(outcome: Outcome, short: str) -> Outcome:
    """What an outcome says of one paper."""

    def takes_part(table: str) -> bool:
        return table.startswith(f"{short}, ")

    findings = tuple(each for each in outcome.findings if any(map(takes_part, each.tables)))
    return replace(outcome, findings=findings, clean=tuple(filter(takes_part, outcome.clean)))


def _paper(name: str) -> Paper:
    known = {paper.name: paper for paper in papers()}
    if name not in known:
        raise BenchError(did_you_mean("paper", name, known))
    return known[name]


def _of_table(paper: Paper, number: str) -> list[Value]:
    return [value for value in paper.values if value.row["table"] == number]


def _listed(paper: Paper) -> dict[str, Any]:
    tables = [
        {"table": number, "title": title, **_extent(_of_table(paper, number))}
        for number, title in paper.tables.items()
    ]
    return {"paper": paper.name, "title": paper.title, "tables": tables}


def _extent(values: Sequence[Value]) -> dict[str, Any]:
    return {
        "values": len(values),
        "datasets": sorted({value.row["dataset"] for value in values}),
        "protocols": sorted({name for value in values for name in value.facts.get("protocols", ())}),
    }


def _plain(value: Value) -> dict[str, Any]:
    """A printed value with its facts, as JSON takes it."""
    facts = {
        name: UNKNOWN if name in _COUNTS and told == UNKNOWN_COUNT else told
        for name, told in value.facts.items()
    }
    return {**value.row, "value": value.printed, "facts": facts, "caveats": list(value.caveats)}


def _show_block(dataset: str, values: Sequence[Value]) -> None:
    """A table of one data set: categories by metrics, a method at a time, or methods by metrics."""
    print(f"\n  {dataset}")
    if len({value.row["category"] for value in values}) == 1:
        _print_grid(values, _method, "")
        return
    for method, members in _grouped(values, _method).items():
        print(f"  {method}")
        _print_grid(members, lambda value: value.row["category"], "category")


def _print_grid(values: Sequence[Value], row: Callable[[Value], str], corner: str) -> None:
    cells = {(row(value), _metric(value)): value.text for value in values}
    columns = list(dict.fromkeys(map(_metric, values)))
    names = sorted(dict.fromkeys(map(row, values)), key=lambda name: name == AVERAGE)
    first = max(map(len, (*names, corner)))
    widths = [max(len(each), *(len(cells.get((name, each), "")) for name in names)) for each in columns]
    for name, line in ((corner, columns), *((name, None) for name in names)):
        shown = line or [cells.get((name, each), "–") for each in columns]
        print(
            f"    {name:<{first}}" + "".join(f"  {text:>{w}}" for text, w in zip(shown, widths, strict=True))
        )


def _method(value: Value) -> str:
    row = value.row
    note = f" ({row['note']})" if row["note"].startswith("modality=") else ""
    return (f"{row['generator']} with {row['detector']}" if row["detector"] else row["generator"]) + note


def _metric(value: Value) -> str:
    level = value.row["level"].removeprefix("generation-")
    name = METRICS.get(value.row["metric"], value.row["metric"].replace("_", " "))
    return name if level in ("generation", "classification", "cost") else f"{level} {name}"


def _show_facts(values: Sequence[Value]) -> None:
    """What is known of the protocol: one line a fact where all agree, else what holds for what."""
    print("\n  protocol")
    for name in (*REQUIRED, "quoted"):
        told = dict.fromkeys(_fact(value, name) for value in values)
        if len(told) == 1:
            print(f"    {name}: {next(iter(told))}")
            continue
        columns = next((each for each in _PARTING if _decides(each, name, values)), _PARTING[-1])
        for fact in told:
            where = dict.fromkeys(_entry(value, columns) for value in values if _fact(value, name) == fact)
            print(f"    {name}: {fact} for {', '.join(where)}")
    for caveat in dict.fromkeys(caveat for value in values for caveat in value.caveats):
        print(f"    note: {caveat}")
        _print_footnotes("      ", caveat)
    print()


_PARTING = (
    *(("dataset",), ("level",), ("metric",), ("detector",), ("generator",), ("note",)),
    *(("level", "metric"), ("detector", "level"), ("generator", "metric"), ("generator", "detector")),
    *(("detector", "level", "metric"), ("generator", "detector", "dataset")),
    ("generator", "detector", "dataset", "level", "metric"),
)
"""Columns by which a fact may differ within a table, the fewest first."""


def _decides(columns: Sequence[str], name: str, values: Sequence[Value]) -> bool:
    """Whether values that agree in these columns agree in the fact."""
    told: dict[str, str] = {}
    return all(
        told.setdefault(_entry(value, columns), _fact(value, name)) == _fact(value, name) for value in values
    )


def _entry(value: Value, columns: Sequence[str]) -> str:
    return " ".join(value.row[column] or "images" for column in columns)


def _fact(value: Value, name: str) -> str:
    told = value.facts.get(name)
    if isinstance(told, bool):
        return "yes" if told else "no"
    if name in _COUNTS and told == UNKNOWN_COUNT:
        return UNKNOWN
    return "none" if told == "" else str(told)


def _grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> Mapping[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _dump(held: Any) -> None:
    print(json.dumps(held, indent=1, ensure_ascii=False))
