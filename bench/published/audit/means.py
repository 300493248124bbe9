"""Printed means against the means of their rows, over categories, over detectors, and harmonic ones.

A row is true to half of its last digit, so is the mean of rows; the printed mean may add half of its own.
What is further off is not rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean, harmonic_mean

from bench.published.audit.cell_key import CellKey, key_of
from bench.published.audit.contradiction import Checked, Contradiction, contradiction, metric_name, overlap
from bench.published.load import AVERAGE, name_and_variant
from bench.published.paper import Paper, Value

OVER_DETECTORS = "average"
_HARMONIC = "_hmean"


def means_of_categories(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Every `mean` of a table against the categories above it."""
    for paper in papers:
        columns: dict[tuple[str, ...], list[Value]] = {}
        for value in paper.values:
            row = value.row
            column = (row["table"], row["dataset"], row["generator"], row["detector"], row["level"])
            columns.setdefault((*column, row["metric"], row["note"]), []).append(value)
        pairs = []
        for values in columns.values():
            rows = [value for value in values if value.row["category"] != AVERAGE]
            pairs += [(mean, rows) for mean in values if mean.row["category"] == AVERAGE and rows]
        off = [(mean, rows) for mean, rows in pairs if not _is_mean(mean, rows)]
        for mean, rows in pairs:
            if _is_mean(mean, rows):
                yield mean, None
                continue
            computed = _computed(mean, rows)
            sentence = (
                f"{metric_name(mean)}: the mean of its {len(rows)} rows is {computed}, printed is {mean.text}"
            )
            alike = [pair for pair in off if pair[0].row["table"] == mean.row["table"]]
            explanation = _without_one(mean, rows, alike)
            yield mean, contradiction("mean", mean, rows, mean.text, computed, sentence, explanation)


def means_of_detectors(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Every `average` over detectors against theirs, of the table, or of siblings where a row is lost."""
    for paper in papers:
        printed: dict[CellKey, list[Value]] = {}
        detectors: dict[str, set[str]] = {}
        for value in paper.values:
            printed.setdefault(key_of(value), []).append(value)
            detectors.setdefault(value.row["table"], set()).add(value.row["detector"])
        for mean in paper.values:
            name, variant = name_and_variant(mean.row["detector"])
            if name != OVER_DETECTORS:
                continue
            members = [
                detector
                for detector in sorted(detectors[mean.row["table"]])
                if name_and_variant(detector)[0] != name and name_and_variant(detector)[1] == variant
            ]
            choices = [_beside(mean, detector, paper, printed) for detector in members]
            if members and all(choices):
                yield from _of_detectors(mean, choices)


def _of_detectors(mean: Value, choices: Sequence[Sequence[Value]]) -> Iterator[Checked]:
    """The average against every choice of its members' values, where several tables print one."""
    ways = list(product(*choices))
    fitting = [way for way in ways if _is_mean(mean, way)]
    if len(fitting) == len(ways):
        yield mean, None
    for way in ways:
        if way in fitting:
            continue
        computed = _computed(mean, way)
        numbers = ", ".join(
            f"{value.row['detector']} {value.text}" + f" ({value.table})" * (value.table != mean.table)
            for value in way
        )
        sentence = f"{metric_name(mean)}: the mean of {numbers} is {computed}, printed is {mean.text}"
        yield (
            mean,
            contradiction("average", mean, way, mean.text, computed, sentence, _why(mean, way, fitting)),
        )


def harmonic_means(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Every NAME_hmean against the other NAME_... of its row."""
    for paper in papers:
        rows: dict[tuple[str, ...], dict[str, Value]] = {}
        for value in paper.values:
            row = value.row
            row_key = (row["table"], row["dataset"], row["category"], row["generator"], row["detector"])
            rows.setdefault((*row_key, row["level"]), {})[row["metric"]] = value
        for metrics in rows.values():
            for metric, mean in metrics.items():
                stem = metric.removesuffix(_HARMONIC) + "_"
                parts = [
                    value for name, value in metrics.items() if name.startswith(stem) and value is not mean
                ]
                if metric.endswith(_HARMONIC) and parts:
                    yield mean, _harmonic(mean, parts)


def _harmonic(mean: Value, parts: Sequence[Value]) -> Contradiction | None:
    # the harmonic mean rises with each part, so its range is that of the parts' ends
    low = harmonic_mean([max(0.0, part.printed - part.half_step) for part in parts])
    high = harmonic_mean([part.printed + part.half_step for part in parts])
    if overlap(low, high, mean.printed - mean.half_step, mean.printed + mean.half_step):
        return None
    digits = mean.facts["digits"] + 1
    expected = f"{low:.{digits}f} to {high:.{digits}f}"
    numbers = ", ".join(part.text for part in parts)
    sentence = f"the harmonic mean of {numbers} is {expected}, printed is {mean.text}"
    return contradiction("harmonic", mean, parts, mean.text, expected, sentence, "")


def _is_mean(mean: Value, rows: Sequence[Value]) -> bool:
    computed, off = fmean(row.printed for row in rows), fmean(row.half_step for row in rows)
    return overlap(
        computed - off, computed + off, mean.printed - mean.half_step, mean.printed + mean.half_step
    )


def _computed(mean: Value, rows: Sequence[Value]) -> str:
    return f"{fmean(row.printed for row in rows):.{mean.facts['digits'] + 1}f}"


_Column = tuple[Value, Sequence[Value]]


def _without_one(mean: Value, rows: Sequence[Value], alike: Sequence[_Column]) -> str:
    """A category without which this mean, and those of the table that are off too, are what is printed."""
    fits = _fitting(mean, rows)
    common = fits.intersection(*(_fitting(*column) for column in alike))
    if common:
        where = f" in all {len(alike)} such columns of the table" if len(alike) > 1 else ""
        return f"it is the mean of the rows without {' or without '.join(sorted(common))}{where}"
    if fits:
        return f"it is the mean of the rows without {' or without '.join(sorted(fits))}"
    return _slip(mean, rows)


def _fitting(mean: Value, rows: Sequence[Value]) -> set[str]:
    return {
        row.row["category"]
        for row in rows
        if _is_mean(mean, [other for other in rows if other is not row] or rows)
    }


def _beside(
    mean: Value, detector: str, paper: Paper, printed: Mapping[CellKey, Sequence[Value]]
) -> list[Value]:
    """A detector's value beside its average: of the same table, else those of its siblings that differ."""
    cell = {**mean.row, "detector": detector}
    columns = ("table", "dataset", "category", "generator", "detector", "level", "metric")
    for value in paper.values:
        if all(value.row[name] == cell[name] for name in columns):
            return [value]
    return list({value.text: value for value in printed.get(key_of(mean, detector=detector), ())}.values())


def _why(mean: Value, rows: Sequence[Value], fitting: Sequence[Sequence[Value]]) -> str:
    if fitting:
        used = [value for value in fitting[0] if value not in rows]
        numbers = ", ".join(f"{value.text} of {value.table}" for value in used)
        return f"it fits with {numbers}: another run or checkpoint of the same detector (D19)"
    slip = _slip(mean, rows)
    if slip or all(row.table == mean.table for row in rows):
        return slip
    elsewhere = ", ".join(sorted({row.table for row in rows} - {mean.table}))
    return f"the average is of other runs or checkpoints (D19) than {elsewhere}"


def _slip(mean: Value, rows: Sequence[Value]) -> str:
    """Whether only one digit, or the order of digits, separates the printed mean from the computed one."""
    expected = f"{fmean(row.printed for row in rows):.{mean.facts['digits']}f}"
    differing = sum(a != b for a, b in zip(expected, mean.text, strict=False))
    if len(expected) == len(mean.text) and (differing == 1 or sorted(expected) == sorted(mean.text)):
        return f"a slip of digits, {mean.text} for {expected}, in the paper or in the text that was read"
    return ""
