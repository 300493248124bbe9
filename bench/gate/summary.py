"""A judgment for people: on a terminal, and as Markdown for a pull request."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.gate.verdict import MOVED, UNDECIDED, Exit, Judgment, Status, Verdict
from bench.plain_text import plain_line

MOST_ROWS = 40
_EXITS = {Exit.PASS: "pass", Exit.REGRESSION: "FAIL", Exit.CANNOT_TELL: "CANNOT TELL"}
_STATUSES: tuple[tuple[Status, str], ...] = (
    ("loss", "worse"),
    ("gain", "better"),
    ("failed", "failed"),
    ("missing", "missing"),
    ("incomparable", "incomparable"),
    ("unclear", "unclear"),
    ("same", "the same"),
    ("within", "within what is allowed"),
    ("new", "new"),
    ("ignored", "not gated"),
)


def headline(judgment: Judgment) -> str:
    """ "FAIL: of 12 metrics 2 worse, 1 better, 9 the same"."""
    counts = [(len(judgment.of(status)), words) for status, words in _STATUSES]
    text = ", ".join(f"{count} {words}" for count, words in counts if count)
    return f"{_EXITS[judgment.exit]}: of {len(judgment.verdicts)} metrics {text or 'none'}"


def as_text(judgment: Judgment, accept: str) -> str:
    """The table of a terminal; `accept` is the command that takes the new values in."""
    lines = [f"bench gate {headline(judgment)}"]
    rows = shown(judgment)
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(_HEAD) - 1)]
    for *cells, reason in rows:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"  {padded}  {reason}")
    lines += [f"  {line}" for line in _hidden(judgment)]
    if judgment.causes:
        lines.append("likely causes")
        lines += [f"  {cause.kind}: {cause.sentence} ({_metrics(count)})" for cause, count in judgment.causes]
    lines += [f"{line}" for line in _notes(judgment)]
    if judgment.exit != Exit.PASS:
        lines.append(f"to accept what was measured: {accept}")
    return "\n".join(lines) + "\n"


def as_markdown(judgment: Judgment, accept: str) -> str:
    """The summary of a pull request."""
    lines = [f"### `bench gate` {headline(judgment)}", ""]
    rows = shown(judgment)
    if rows:
        lines += [_markdown_row(_HEAD), "|" + "---|" * len(_HEAD)]
        lines += [_markdown_row(row) for row in rows]
        lines += ["", *_hidden(judgment)]
    if judgment.causes:
        lines += ["", "**Likely causes**", ""]
        lines += [
            f"- {cause.kind}: {_escaped(cause.sentence)} ({_metrics(count)})"
            for cause, count in judgment.causes
        ]
    lines += ["", *(f"{line}" for line in _notes(judgment))]
    if judgment.exit != Exit.PASS:
        lines += ["", f"To accept what was measured: `{accept}`"]
    return "\n".join(lines).rstrip() + "\n"


def shown(judgment: Judgment) -> list[tuple[str, ...]]:
    """Rows of what is not as it was, losses first; a cell with one reason for many metrics is one row."""
    return _rows(judgment)[:MOST_ROWS]


def _rows(judgment: Judgment) -> list[tuple[str, ...]]:
    order = {status: rank for rank, (status, _) in enumerate(_STATUSES)}
    notable = sorted(judgment.of(*MOVED, *UNDECIDED), key=lambda verdict: order[verdict.status])
    rows = []
    for _, members in groupby(notable, key=_shared_fate):
        first, *more = members
        row = _row(first)
        rows.append((*row[:2], f"{_metrics(len(more) + 1)}", "–", "–", "", row[-1]) if more else row)
    return rows


def _shared_fate(verdict: Verdict) -> tuple[str, ...]:
    """Equal for metrics of a cell that have one reason and no change to show."""
    measure = "" if verdict.change is None and verdict.rule != "speed" else verdict.measure
    return (verdict.status, verdict.cell, verdict.rule, verdict.reason, measure)


def _hidden(judgment: Judgment) -> Iterator[str]:
    more = len(_rows(judgment)) - MOST_ROWS
    if more > 0:
        yield f"and {more} more; --json FILE holds all"


_HEAD = ("", "where", "metric", "was", "is", "change", "reason")


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.status.upper(),
        verdict.cell,
        verdict.measure,
        number(verdict.before),
        number(verdict.after),
        "" if verdict.change is None else f"{verdict.change:+.4g}",
        _reason(verdict),
    )


def _reason(verdict: Verdict) -> str:
    reason = f"{verdict.rule}: {verdict.reason}"
    if verdict.p is not None:
        reason += f", p {verdict.p:.2g}"
    elif verdict.allowed and verdict.rule != "speed":
        reason += f" of {verdict.allowed:.2g}"
    return reason


def number(values: Sequence[float]) -> str:
    """A mean over seeds, or a dash."""
    return f"{sum(values) / len(values):.6g}" if values else "–"


def _notes(judgment: Judgment) -> Iterator[str]:
    blind = [verdict.visible for verdict in judgment.verdicts if verdict.visible is not None]
    if blind:
        middle = sorted(blind)[len(blind) // 2]
        yield (
            f"the least loss that half of the {len(blind)} stochastic metrics would show 9 times in 10: "
            f"{middle:.3g}; more seeds, and updates with other seeds, lower it"
        )
    environments = {
        verdict.reason for verdict in judgment.verdicts if verdict.reason.startswith("another environment")
    }
    if environments:
        yield "this environment is not the baseline's: deterministic metrics were held to their tolerance"


def _metrics(count: int) -> str:
    return f"{count} metric{'s' * (count != 1)}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Text that stays in its cell, and is not markup."""
    plain = plain_line(text).replace("@", "@\u2060")  # calls nobody by name
    for mark in "\\|`*_<>[]":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
