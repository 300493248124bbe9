"""Splits written to files, so that a published one can be pinned and anyone's can be read.

    name = "my split"            # optional
    [base.bottle]                # the real defects that generators may see, by file stem
    broken_large = ["000", "003"]
    [test.bottle]                # optional, a type at a time; where absent, the rest of the type
    broken_large = ["001", "002"]

JSON with the same keys is read as well.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.layout import Category, Dataset, Item
from bench.data.split import CategorySplit, Split
from bench.errors import BenchError, did_you_mean
from bench.files import file_text
from bench.toml import parse_toml


def load_split(dataset: Dataset, path: Path) -> Split:
    """The split that a TOML or JSON file lists, named `file:<its name>#<digest of what it lists>`.

    Every type of every category of the data set must be listed. Raises BenchError for anything unknown,
    empty, listed twice or on both sides.
    """
    content = read_split_file(path)
    where = f"the split file {path}"
    for key in content:
        if key not in ("name", "base", "test"):
            raise BenchError(f"{did_you_mean('key', key, ('name', 'base', 'test'))} in {where}")
    name = content.get("name", path.stem)
    if not isinstance(name, str):
        raise BenchError(f'{where} has a name that is not text; write name = "…"')
    base, test = (_table(content.get(side, {}), f"[{side}]", where) for side in ("base", "test"))
    by_name = {c.name: c for c in dataset.categories}
    for side in (base, test):
        for category in side:
            if category not in by_name:
                raise BenchError(f"{did_you_mean('category', category, by_name, of=dataset.name)} in {where}")
    for category in by_name:
        if category not in base:
            raise BenchError(
                f"{where} lists nothing for category '{category}'; add [base.{json.dumps(category)}]"
            )
    categories = tuple(
        _category(c, _table(base[c.name], c.name, where), _table(test.get(c.name, {}), c.name, where), where)
        for c in dataset.categories
    )
    listed = json.dumps([_listed(c) for c in categories], sort_keys=True)
    return Split(f"file:{name}#{hashlib.sha256(listed.encode()).hexdigest()[:12]}", None, categories)


def dump_split(split: Split, name: str | None = None) -> str:
    """TOML text of a split, base and test, as `load_split` reads it; `name` is the split's by default.

    Library only: for those who publish the split that they draw.
    """
    lines = [f"name = {_quoted(name or split.name)}"]
    for side in ("base", "test"):
        for category in split.categories:
            lines += ["", f"[{side}.{_quoted(category.name)}]"]
            for defect, items in getattr(category, side).items():
                lines.append(f"{_quoted(defect)} = [{', '.join(_quoted(item.stem) for item in items)}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(category: CategorySplit) -> list[Any]:
    sides = [
        {defect: [item.stem for item in items] for defect, items in side.items()}
        for side in (category.base, category.test)
    ]
    return [category.name, *sides]


def read_split_file(path: Path) -> dict[str, Any]:
    """What a split file holds, not yet compared with a data set. Raises BenchError if it cannot be read."""
    try:
        text = file_text(path)
        content = json.loads(text) if path.suffix.lower() == ".json" else parse_toml(text)
    except OSError as error:
        raise BenchError(f"cannot read the split file {path}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"the split file {path} is not valid: {error}") from None
    if not isinstance(content, dict):
        raise BenchError(f"the split file {path} must be a table with a key 'base'")
    return content


def _table(value: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchError(
            f"{where} has a value at '{name}' that is not a table; write [base.<category>] above its lists"
        )
    return {unicodedata.normalize("NFC", key): entry for key, entry in value.items()}


def _category(
    category: Category, base: Mapping[str, Any], test: Mapping[str, Any], where: str
) -> CategorySplit:
    for side in (base, test):
        for defect in side:
            if defect not in category.defects:
                raise BenchError(
                    f"{did_you_mean('defect type', defect, category.defects, of=category.name)} in {where}"
                )
    chosen: dict[str, tuple[Item, ...]] = {}
    rest: dict[str, tuple[Item, ...]] = {}
    for defect, items in category.defects.items():
        what = f"'{category.name}/{defect}'"
        if defect not in base:
            raise BenchError(f"{where} lists no base images for {what}; name at least one")
        chosen[defect] = _picked(items, base[defect], f"{what} in {where}")
        if defect in test:
            rest[defect] = _picked(items, test[defect], f"{what} in {where}")
        else:
            rest[defect] = tuple(item for item in items if item not in chosen[defect])
        both = [item.stem for item in chosen[defect] if item in rest[defect]]
        if both:
            raise BenchError(f"image '{both[0]}' of {what} is both base and test in {where}; keep one")
        if not rest[defect]:
            raise BenchError(f"{where} leaves no test image for {what}; list fewer base images")
    return CategorySplit(category.name, category.train_good, chosen, rest, category.test_good)


def _picked(items: tuple[Item, ...], stems: Any, what: str) -> tuple[Item, ...]:
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise BenchError(f'the images of {what} must be a list of file stems, such as ["000", "001"]')
    if not stems:
        raise BenchError(f"the list of images of {what} is empty; name at least one")
    names = [unicodedata.normalize("NFC", stem) for stem in stems]
    by_stem: dict[str, list[Item]] = {}
    for item in items:
        by_stem.setdefault(item.stem, []).append(item)
    for stem in names:
        if stem not in by_stem:
            raise BenchError(f"{did_you_mean('image', stem, by_stem)}, at {what}")
        if names.count(stem) > 1:
            raise BenchError(f"image '{stem}' of {what} is listed twice; delete one")
        if len(by_stem[stem]) > 1:
            raise BenchError(f"image '{stem}' of {what} is the stem of two files; rename one of them")
    return tuple(item for item in items if item.stem in set(names))
