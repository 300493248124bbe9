"""`bench compare A B`: two stores, or two runs, cell by cell."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import api
from bench.cli.damage import print_damage
from bench.results.run import Results

_MOST_REASONS = 12
_COLUMNS = ("first", "second", "difference")


def compare_command(first: str, second: str, store_root: Path, categories: bool, as_json: bool) -> int:
    """Print the difference of every cell; exit code 0, also where nothing can be compared, 1 after damage."""
    comparison = api.compare(first, second, store=store_root)
    cells = comparison.differences
    code = print_damage(None, comparison.first, comparison.second)
    if as_json:
        print(json.dumps([asdict(cell) for cell in cells], indent=1, ensure_ascii=False, allow_nan=False))
        return code
    print(f"first:  {first}: {_title(comparison.first)}\nsecond: {second}: {_title(comparison.second)}")
    rows = [cell for cell in cells if categories or cell.category == "mean"]
    if not rows:
        print("the two have no category in common, so there is nothing to compare")
        return code
    _print_rows(rows)
    _print_reasons(rows)
    verdicts = [row.verdict for row in rows]
    print("; ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts)))
    print("differences are second minus first; better and worse: beyond chance, after Holm's correction")
    return code


def _print_rows(rows: Sequence[Any]) -> None:
    category = ""
    first_width = max(len(row.title) for row in rows)
    widths = [max(len(name), *(len(getattr(row, f"{name}_text")) for row in rows)) for name in _COLUMNS]
    for row in rows:
        if row.category != category:
            category = row.category
            heads = "  ".join(name.rjust(width) for name, width in zip(_COLUMNS, widths, strict=True))
            print(f"\n{category:<{first_width}}  {heads}  verdict")
        texts = (row.first_text, row.second_text, row.difference_text)
        cells = "  ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
        print(f"{row.title:<{first_width}}  {cells}  {row.verdict}")


def _print_reasons(rows: Sequence[Any]) -> None:
    reasons = list(dict.fromkeys(reason for row in rows for reason in row.reasons))
    print()
    for reason in reasons[:_MOST_REASONS]:
        print(f"  {reason}")
    if len(reasons) > _MOST_REASONS:
        print(f"  and {len(reasons) - _MOST_REASONS} more reasons; --json has all")


def _title(results: Results) -> str:
    return f"{results.protocol} at scale {results.scale} on {results.dataset}"
