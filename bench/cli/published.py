"""`bench published list | show | audit | disagreements`: what papers printed, and where they contradict."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.published import Paper, Value, papers
from bench.published.audit import RuleOutcome, audit
from bench.published.disagreements import disagreements, footnotes
from bench.published.facts import REQUIRED
from bench.published.load import AVERAGE
from bench.record.catalogue import metric_title
from bench.record.record import UNKNOWN, UNKNOWN_COUNT

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
            data, protocols = ", ".join(extent["datasets"]), ", ".join(extent["protocols"])
            print(f"  table {number:>2}  {title}: {extent['values']} values; {data}; beside {protocols}")


def show_command(paper: str, table: str | None, as_json: bool) -> None:
    """A table as printed, or all, with what is known of its protocol."""
    chosen = _paper(paper)
    if table is not None and table not in chosen.tables:
        raise BenchError(did_you_mean("table", table, chosen.tables, of=paper))
    numbers = list(chosen.tables) if table is None else [table]
    if as_json:
        _dump([_plain(value) for number in numbers for value in _of_table(chosen, number)])
        return
    for number in numbers:
        values = _of_table(chosen, number)
        print(f"{chosen.short}, Table {number}: {chosen.tables[number]}")
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
    print(f"{total} contradictions in {sum(len(paper.values) for paper in papers()):,} printed values")


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


def _show_outcome(outcome: RuleOutcome, everything: bool) -> None:
    print(f"{len(outcome.findings)} {outcome.title} ({outcome.tested:,} tested)")
    groups = _grouped(outcome.findings, attrgetter("tables", "generator", "detector", "dataset"))
    for (tables, generator, detector, dataset), members in groups.items():
        method = f"{generator} with {detector}" if detector else generator
        print(f"  {', '.join(tables)}: {method}, {dataset}")
        rows = members if everything else members[:_EXAMPLES]
        for finding in rows:
            print(f"    {finding.category}: {finding.sentence}")
        if len(members) > len(rows):
            print(f"    and {len(members) - len(rows)} more; --all shows them")
        for explanation in dict.fromkeys(finding.explanation for finding in members if finding.explanation):
            print(f"    perhaps: {explanation}")
            _print_footnotes("      ", explanation)
    if outcome.clean:
        print(f"  nothing in {', '.join(outcome.clean)}")
    print()


def _of_paper(outcome: RuleOutcome, short: str) -> RuleOutcome:
    """What an outcome says of one paper."""

    def takes_part(table: str) -> bool:
        return table.startswith(f"{short}, ")

    findings = tuple(finding for finding in outcome.findings if any(map(takes_part, finding.tables)))
    return replace(outcome, findings=findings, clean=tuple(filter(takes_part, outcome.clean)))


def _paper(name: str) -> Paper:
    by_name = {paper.name: paper for paper in papers()}
    if name not in by_name:
        raise BenchError(did_you_mean("paper", name, by_name))
    return by_name[name]


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
        name: UNKNOWN if name in _COUNTS and fact == UNKNOWN_COUNT else fact
        for name, fact in value.facts.items()
    }
    return {**value.row, "value": value.printed, "facts": facts, "caveats": list(value.caveats)}


def _show_block(dataset: str, values: Sequence[Value]) -> None:
    """A table of one data set: a grid of categories and metrics per method, or of methods and metrics."""
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
    widths = [max(len(column), *(len(cells.get((name, column), "")) for name in names)) for column in columns]
    for name, line in ((corner, columns), *((name, None) for name in names)):
        texts = line or [cells.get((name, column), "–") for column in columns]
        print(
            f"    {name:<{first}}" + "".join(f"  {text:>{w}}" for text, w in zip(texts, widths, strict=True))
        )


def _method(value: Value) -> str:
    row = value.row
    note = f" ({row['note']})" if row["note"].startswith("modality=") else ""
    return (f"{row['generator']} with {row['detector']}" if row["detector"] else row["generator"]) + note


def _metric(value: Value) -> str:
    level = value.row["level"].removeprefix("generation-")
    name = metric_title(value.row["metric"])
    return name if level in ("generation", "classification", "cost") else f"{level} {name}"


def _show_facts(values: Sequence[Value]) -> None:
    """What is known of the protocol: one line per fact, or per group of values with one."""
    print("\n  protocol")
    for name in (*REQUIRED, "quoted"):
        facts = dict.fromkeys(_fact(value, name) for value in values)
        if len(facts) == 1:
            print(f"    {name}: {next(iter(facts))}")
            continue
        deciding = (columns for columns in _PARTING if _decides(columns, name, values))
        columns = next(deciding, _PARTING[-1])
        for fact in facts:
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
    facts: dict[str, str] = {}
    return all(
        facts.setdefault(_entry(value, columns), _fact(value, name)) == _fact(value, name) for value in values
    )


def _entry(value: Value, columns: Sequence[str]) -> str:
    return " ".join(value.row[column] or "images" for column in columns)


def _fact(value: Value, name: str) -> str:
    fact = value.facts.get(name)
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if name in _COUNTS and fact == UNKNOWN_COUNT:
        return UNKNOWN
    return "none" if fact == "" else str(fact)


def _grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> Mapping[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _dump(content: Any) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False))
