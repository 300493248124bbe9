"""Stages of real data: decode and resize a part of a category; near-duplicates across the split."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.data.build import build_pool
from bench.data.fingerprint import Digests, part_content
from bench.data.layout import Item
from bench.data.near_duplicates import near_duplicates
from bench.data.pool import open_pool
from bench.data.view import View
from bench.errors import BenchError
from bench.planning.config import CategoryPlan, DataPart, PlanConfig
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task


@dataclass(frozen=True)
class DataCache(Stage[T]):
    """The pool of one part of one category, from wherever its files lie on this machine."""

    name, version = "data.cache", 2
    payload = "caches"

    @staticmethod
    def task(
        config: PlanConfig,
        category: str,
        part: str,
        content: DataPart,
        view: View | None = None,
        filter: Literal["bilinear", "nearest"] = "bilinear",
    ) -> Task:
        """The images under a view; None: as they are scored."""
        params: dict[str, Any] = {
            "category": category,
            "part": part,
            "content": content.digest,
            "counts": dict(content.counts),
            **(view or config.frame).params,
        }
        if filter != "bilinear":
            params["filter"] = filter
        return DataCache[Task]().to_task(params)

    def run(self: "DataCache[Output]", run: StageRun) -> None:
        pairs = listed_files(run)
        build_pool(
            pairs,
            run.out,
            View.of(run.params),
            progress=run.context.progress,
            workers=1,
            filter=run.params.get("filter", "bilinear"),
        )
        require_content(run, pairs)


@dataclass(frozen=True)
class RealPools:
    """The three parts of a category, decoded and brought to one view."""

    normal: Task
    base: Task
    test: Task


def real_pools(config: PlanConfig, category: CategoryPlan, view: View | None = None) -> RealPools:
    """The images of a category under a view; None: as they are scored."""
    return RealPools(
        normal=DataCache.task(config, category.name, "normal", category.normal, view),
        base=DataCache.task(config, category.name, "base", category.base, view),
        test=DataCache.task(config, category.name, "test", category.test, view),
    )


def part_file(sources: Path, content: str) -> Path:
    """The list of where the files of a part lie on this machine."""
    return sources / f"part-{content[:32]}.json"


def listed_files(run: StageRun) -> list[tuple[Item, str]]:
    """The files of a part and their defects, in the order of its pool; BenchError where they are unknown."""
    content = run.params["content"]
    listed = part_file(run.sources, content)
    if not listed.exists():
        raise BenchError(
            f"where the {run.params['part']} images of {run.params['category']} lie is not known here; "
            "name the data set on this machine: `bench run --data DIR` or `bench score --against DIR`"
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


def require_content(run: StageRun, pairs: Sequence[tuple[Item, str]]) -> None:
    """Raise BenchError where the files are not those that the task names by their content.

    What was remembered of a file when it was planned is not asked: every file is hashed again.
    """
    if part_content(pairs, Digests()) != run.params["content"]:
        raise BenchError(
            f"the {run.params['part']} images of {run.params['category']} are not those that were planned "
            f"(one of {len(pairs)} images and masks, such as {pairs[0][0].path}, has other bytes); run "
            "the same `bench run` or `bench score` again"
        )


@dataclass(frozen=True)
class DataDuplicates(Stage[T]):
    """Near-duplicates between the base and the test side of a category, in pairs.json."""

    name, version = "data.duplicates", 1
    base: T
    test: T
    normal: T

    @staticmethod
    def task(category: CategoryPlan, real: RealPools) -> Task:
        stage = DataDuplicates(base=real.base, test=real.test, normal=real.normal)
        return stage.to_task({"category": category.name})

    def run(self: "DataDuplicates[Output]", run: StageRun) -> None:
        base, test, normal = (open_pool(pool.folder) for pool in (self.base, self.test, self.normal))
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
