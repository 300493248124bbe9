"""Stages of real data: decode and resize a part of a category; near-duplicates across the split."""

import json
from pathlib import Path

from bench.data.build import build_pool
from bench.data.layout import Item
from bench.data.near_duplicates import near_duplicates
from bench.data.pool import open_pool
from bench.errors import BenchError
from bench.stages import StageRun


def cache(run: StageRun) -> None:
    """Build the pool of one part of one category, from wherever its files lie on this machine."""
    pairs = listed_files(run)
    build_pool(pairs, run.out, run.params["resolution"], progress=run.context.progress, workers=1)


def listed_files(run: StageRun) -> list[tuple[Item, str]]:
    """The files of a part and their defects, in the order of its pool; BenchError where they are unknown."""
    content = run.params["content"]
    listed = run.sources / f"part-{content[:32]}.json"
    if not listed.exists():
        raise BenchError(
            f"where the {run.params['part']} images of {run.params['category']} lie is not known here; "
            "run `bench run --data DIR` on this machine"
        )
    return [
        (
            Item(
                Path(row["image"]),
                Path(row["mask"]) if row["mask"] else None,
                Path(row["depth"]) if row["depth"] else None,
                row["stem"],
            ),
            row["defect"],
        )
        for row in json.loads(listed.read_text())
    ]


def duplicates(run: StageRun) -> None:
    """List near-duplicates between the base and the test side of a category (pairs.json)."""
    base, test, normal = (open_pool(run.inputs.one(role)) for role in ("base", "test", "normal"))
    pairs = [
        {
            "category": run.params["category"],
            "base": f"{base.items[pair.left]['defect']}/{base.items[pair.left]['stem']}",
            "test": f"{test.items[pair.right]['defect']}/{test.items[pair.right]['stem']}",
            "distance": pair.distance,
        }
        for pair in near_duplicates(base.images, test.images, normal.images)
    ]
    (run.out / "pairs.json").write_text(json.dumps(pairs, indent=0))
