"""The pages of one set of results: what each is called, and what its template is filled with."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Any

from bench.record.record import Record
from bench.results.run import Results
from reports.board.costs import cost_table, per_image, published_costs
from reports.board.findings import Finding, findings, headline
from reports.board.gaps import gaps
from reports.board.glossary import DIALECTS, METRICS, column_title, level_title, metric_title
from reports.board.identity import PLAIN_ROWS, Column, Method, Row, baseline_name, mix_name
from reports.board.tables import MEAN, Leaderboard, leaderboard
from reports.site.addresses import slugs
from reports.site.cases import map_cases
from reports.site.closest import closest_pairs
from reports.site.curves import key, panels
from reports.site.galleries import sample_grids
from reports.site.heat import heat_map
from reports.site.pictures import Album
from reports.site.published_rows import gap_lines, published_lines, tables_of
from reports.site.reproduce import Recipe, recipes
from reports.site.roc_pr_plots import plots, rows_of, ticks
from reports.site.sensitivity import explained, sensitivities
from reports.site.views import TableView, detectors, gain_table, mean_table

Choices = tuple[tuple[str, tuple[str, ...]], ...]
"""What a reader may filter by: (attribute, values)."""
IMAGES = "generated images"
HONESTY = ("copies", "leaks", "mask_agreement", "mask_boundary", "mask_spill")
"""Metrics of the images that no paper prints; a table of their own, as one of all is wider than a page."""


@dataclass(frozen=True)
class Link:
    file: str
    title: str
    key: str
    count: int = 0
    """Shown behind the title unless 0."""


@dataclass(frozen=True)
class Way:
    """One of several pages of a kind, as a link."""

    file: str
    title: str
    is_current: bool


class RunPages:
    """All pages of one `Results`. Boards are computed once; pictures go into the album."""

    def __init__(self, results: Results, album: Album) -> None:
        self.results = results
        self.album = album
        self.records = in_order(results.records)

    @cached_property
    def board(self) -> Leaderboard:
        return leaderboard(self.records, self.results.replicates, self.results.baseline)

    @cached_property
    def every(self) -> Leaderboard:
        """The board with all dialects, of values alone."""
        return leaderboard(self._scored, baseline=self.results.baseline, bare=True)

    @cached_property
    def _scored(self) -> tuple[Record, ...]:
        return (*self.records, *in_order(self.results.dialects))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        return findings(self.board, detectors(self.board))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        results = self.results
        without = sum(gap.cells for gap in self.gaps)
        found = [
            Link("index.html", "Leaderboard", "leaderboard"),
            Link(self.groups[0][2] if self.groups else "", "By category", "categories"),
            Link("gallery.html", "Gallery", "gallery") if results.galleries or results.maps else None,
            Link(self.curve_files[0][1], "Curves", "curves") if self.curve_files else None,
            Link("sensitivity.html", "Sensitivity", "sensitivity") if results.dialects else None,
            Link("published.html", "Published", "published"),
            Link("cost.html", "Cost", "cost"),
            Link("failures.html", "Without a number", "failures", without),
            Link("reproduce.html", "Provenance", "reproduce"),
        ]
        return tuple(link for link in found if link is not None and link.file)

    @cached_property
    def gaps(self) -> tuple[Any, ...]:
        return gaps(self.records)

    @cached_property
    def groups(self) -> tuple[tuple[str, tuple[Column, ...], str], ...]:
        """(name, columns, file) of the generated images and of each detector."""
        named = []
        generation = tuple(column for column in self.board.columns if column.is_generation)
        if generation:
            named.append((IMAGES, generation))
        named += [(self.board.detectors[each], self.board.columns_of(each)) for each in detectors(self.board)]
        files = slugs(name for name, _ in named)
        return tuple((name, columns, f"by-category-{files[name]}.html") for name, columns in named)

    @cached_property
    def curve_files(self) -> tuple[tuple[str, str], ...]:
        """(detector, file) of those with curves."""
        names = sorted(
            {each.detector for each in self.results.curves} | {each.detector for each in self.results.traces}
        )
        files = slugs(names)
        return tuple((name, f"curves-{files[name]}.html") for name in names)

    @cached_property
    def category_files(self) -> dict[str | None, str]:
        named = list(self.board.categories)
        files = slugs(named)
        return {MEAN: "index.html", **{name: f"category-{files[name]}.html" for name in named}}

    @cached_property
    def recipes(self) -> dict[tuple[Row, Method], Recipe]:
        return recipes(self.records, self.results.commands)

    @cached_property
    def anchors(self) -> dict[tuple[Row, Method], str]:
        return {place: f"r{number}" for number, place in enumerate(sorted(self.recipes, key=_recipe_order))}

    def templates(self, others: Sequence[Way]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(file, template, context) of every page."""
        common = self._common(others)
        shown = {link.key: link for link in self.links}

        def page(file: str, key: str, template: str, **context: Any) -> tuple[str, str, Mapping[str, Any]]:
            link = Link(file, shown[key].title, key)
            return file, template, {**common, "page": link, **context}

        for category, file in self.category_files.items():
            yield page(file, "leaderboard", "leaderboard.html", **self._leaderboard(category))
        for name, columns, file in self.groups:
            yield page(file, "categories", "categories.html", **self._categories(name, columns, file))
        if "gallery" in shown:
            yield page("gallery.html", "gallery", "gallery.html", **self._gallery())
        for name, file in self.curve_files:
            yield page(file, "curves", "curves.html", **self._curves(name, file))
        if "sensitivity" in shown:
            yield page("sensitivity.html", "sensitivity", "sensitivity.html", **self._sensitivity())
        yield page("published.html", "published", "published.html", **self._published())
        yield page("cost.html", "cost", "cost.html", **self._cost())
        yield page("failures.html", "failures", "failures.html", gaps=self.gaps)
        yield page("reproduce.html", "reproduce", "reproduce.html", **self._reproduce())

    def _common(self, others: Sequence[Way]) -> dict[str, Any]:
        baseline = baseline_name(self.records)
        return {
            "root": "../",
            "results": self.results,
            "pages": self.links,
            "others": others,
            "categories": self.board.categories,
            "seeds": self.board.seeds,
            "measured": self.measured,
            "total": len(self.records),
            "plain_rows": {"real": baseline, **PLAIN_ROWS},
            "choices": (),
        }

    @cached_property
    def measured(self) -> int:
        return sum(record.status == "ok" for record in self.records)

    def _leaderboard(self, category: str | None) -> dict[str, Any]:
        board = self.board
        main, gained = [], []
        for name, title, columns in self._main_parts:
            view = mean_table(board, columns, title, category)
            view = self._with_recipes(view, columns)
            printed = published_lines(self.results.published, columns, view.heads, category)
            if any(line.mix for line in printed) and not view.has_mix:
                view = replace(view, has_mix=True)
            here = [line for line in printed if line.dataset == self.results.dataset]
            elsewhere = [line for line in printed if line.dataset != self.results.dataset]
            main.append((replace(view, detector="" if name == IMAGES else name), here, elsewhere))
        for name, columns, _ in self.groups:
            gain = gain_table(board, columns, name, category)
            if gain is not None:
                gained.append(replace(gain, detector=name))
        base = next((label for row, label in board.labels.items() if board.is_baseline(row)), "the baseline")
        return {
            "category": category,
            "places": [
                Way(file, name or "mean", name == category) for name, file in self.category_files.items()
            ],
            "findings": self.findings if category is MEAN else (),
            "main_tables": main,
            "gain_tables": gained,
            "baseline": base,
            "choices": _choices(
                generator=[line.generator for view, *printed in main for line in chain(view.lines, *printed)],
                detector=[view.detector for view, *_ in main],
                metric=[head.metric for view, *_ in main for head in view.heads],
                dataset=[line.dataset for _, *printed in main for line in chain(*printed)],
            ),
        }

    @cached_property
    def _main_parts(self) -> tuple[tuple[str, str, tuple[Column, ...]], ...]:
        """(group, title, columns) of each table of values."""
        parts = []
        for name, columns, _ in self.groups:
            if name != IMAGES:
                parts.append((name, f"What they are worth to {name}", columns))
                continue
            honest = tuple(column for column in columns if column.metric in HONESTY)
            papers = tuple(column for column in columns if column not in honest)
            parts.append((name, "What the images look like", papers))
            parts.append((name, "Whether they copy, and whether their masks fit", honest))
        return tuple(part for part in parts if part[2])

    def _with_recipes(self, view: TableView, columns: Sequence[Column]) -> TableView:
        """The table with a link to the recipe of each row, and its command."""
        rows = self.board.rows_of(columns)
        lines = []
        for row, line in zip(rows, view.lines, strict=True):
            place = (row, columns[0].detector)
            recipe = self.recipes.get(place)
            if recipe is not None:
                line = replace(line, anchor=self.anchors[place], command=recipe.command)
            lines.append(line)
        return replace(view, lines=tuple(lines))

    def _categories(self, name: str, columns: Sequence[Column], file: str) -> dict[str, Any]:
        views = [
            replace(heat_map(self.board, column), metric=metric_title(column.metric)) for column in columns
        ]
        first = headline(columns)
        return {
            "group": name,
            "groups": [Way(each, title, each == file) for title, _, each in self.groups],
            "views": views,
            "opened": next((v.title for v, c in zip(views, columns, strict=True) if c == first), ""),
            "choices": _choices(
                metric=[view.metric for view in views],
                generator=[head.generator for view in views for head in view.heads],
            ),
        }

    def _gallery(self) -> dict[str, Any]:
        results, album = self.results, self.album
        return {
            "grids": sample_grids(results.galleries, album, self.records),
            "closest": closest_pairs(results.near_pairs, album),
            "cases": map_cases(results.maps, album),
            "choices": _choices(
                category=[
                    *(each.category for each in results.galleries),
                    *(each.category for each in results.maps),
                ],
                generator=[each.generator for each in results.galleries if each.generator != "real"],
                detector=[each.detector for each in results.maps],
            ),
        }

    def _curves(self, name: str, file: str) -> dict[str, Any]:
        curves = [each for each in self.results.curves if each.detector == name]
        traces = [each for each in self.results.traces if each.detector == name]
        return {
            "group": name,
            "groups": [Way(each, title, each == file) for title, each in self.curve_files],
            "plots": plots(curves),
            "plot_key": rows_of(curves),
            "ticks": ticks(),
            "panels": panels(traces),
            "panel_key": key(traces),
        }

    def _sensitivity(self) -> dict[str, Any]:
        found = sensitivities(self.every, self.results.published)
        used = dict.fromkeys(column.dialect for column in self.every.columns if not column.is_generation)
        return {
            "sensitivities": found,
            "dialects": explained(used) if found else (),
            "choices": _choices(
                detector=[each.detector for each in found],
                metric=[each.short for each in found],
                generator=[span.generator for each in found for span in each.spans],
            ),
        }

    def _published(self) -> dict[str, Any]:
        published = self.results.published
        lines = gap_lines(published, self.every, self._scored) if published else ()
        return {
            "lines": lines,
            "tables": tables_of(published),
            "choices": _choices(
                dataset=[line.dataset for line in lines],
                detector=[line.detector for line in lines],
                metric=[line.short for line in lines],
            ),
        }

    def _cost(self) -> dict[str, Any]:
        costs = cost_table(self.records)
        return {
            "costs": costs,
            "each_image": per_image(self.records),
            "published_costs": published_costs(self.results.published),
            "choices": _choices(
                generator=[line.generator for line in costs.lines],
                detector=[line.detector for line in costs.lines],
            ),
        }

    def _reproduce(self) -> dict[str, Any]:
        board, provenance = self.board, self.results.provenance
        return {
            "command": _command(provenance),
            "recipes": [
                {
                    "anchor": anchor,
                    "label": board.labels.get(row, str(row.generator)),
                    "mix": mix_name(row.mix) if row.mix and not board.is_baseline(row) else "",
                    "detector": board.detectors[detector] if detector.name != "none" else IMAGES,
                    "recipe": self.recipes[row, detector],
                }
                for (row, detector), anchor in self.anchors.items()
            ],
            "notes": self.results.data_notes,
            "provenance": {name: value for name, value in provenance.items() if name != "command"},
            "glossary": glossary(board),
        }


def glossary(board: Leaderboard) -> list[tuple[str, str, str]]:
    """(name, levels, what it is) of each metric and dialect on a board."""
    entries: dict[str, tuple[list[str], str]] = {}
    for column in board.columns:
        text = METRICS.get(column.metric, "")
        if column.dialect != "default":
            text = f"{text} {DIALECTS.get(column.dialect, '')}".strip()
        levels, _ = entries.setdefault(column_title(column), ([], text))
        if level_title(column.level) not in levels:
            levels.append(level_title(column.level))
    lines = [(title, ", ".join(levels), text) for title, (levels, text) in entries.items()]
    if any(column.dialect == "default" for column in board.columns):
        lines.append(("default dialect", "", DIALECTS["default"]))
    return lines


_ORDER = attrgetter(
    *(
        "kind",
        "level",
        "metric",
        "dialect",
        "category",
        "defect",
        "mix",
        "generator",
        "detector",
        "seed",
        "task",
    )
)


def in_order(records: Iterable[Record]) -> tuple[Record, ...]:
    """Records in a total order, which does not depend on how a store lists its tasks."""
    places: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        places.setdefault(_ORDER(record), []).append(record)
    return tuple(
        record
        for _, members in sorted(places.items())
        # what differs in other fields alone is rare, and its text is slow to make
        for record in (sorted(members, key=repr) if len(members) > 1 else members)
    )


def _choices(**values: Iterable[str]) -> Choices:
    """Filters with at least two values to choose from."""
    found = (
        (name, tuple(sorted({each for each in held if each and each != "none"})))
        for name, held in values.items()
    )
    return tuple((name, held) for name, held in found if len(held) > 1)


def _recipe_order(place: tuple[Row, Method]) -> tuple[object, ...]:
    row, detector = place
    return (
        detector.name != "none",
        detector.name,
        detector.variant,
        detector.version,
        detector.params,
        row.order(),
    )


def _command(provenance: Mapping[str, Any]) -> str:
    command = provenance.get("command", "")
    return command if isinstance(command, str) else shlex.join(str(part) for part in command)
