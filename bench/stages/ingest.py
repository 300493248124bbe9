"""Stages of what was made elsewhere: copied into the store, in the form of our own methods' outputs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.ingestion.generated import GeneratedItem, generated_samples
from bench.ingestion.predictions import read_map
from bench.methods import Request
from bench.methods.samples import write_samples
from bench.planning.config import PlanConfig
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task


@dataclass(frozen=True)
class GeneratorIngest(Stage[T]):
    """samples.zip with the images and masks of one defect type, each at its own size."""

    name, version = "generator.ingest", 2

    @staticmethod
    def task(params: Mapping[str, Any]) -> Task:
        """`params`: what `bench ingest` registered for a category and defect."""
        return GeneratorIngest[Task]().to_task(params)

    def run(self: "GeneratorIngest[Output]", run: StageRun) -> None:
        params = run.params
        category, defect = params["category"], params["defect"]
        items = [
            GeneratedItem(category, defect, Path(row["image"]), Path(row["mask"]) if row["mask"] else None)
            for row in _source(run, "generated")
        ]
        write_samples(
            run.out / "samples.zip",
            Request(category, defect, range(len(items))),
            generated_samples(items),
            run.context.progress,
            generator=params["name"],
        )


@dataclass(frozen=True)
class DetectorIngest(Stage[T]):
    """What a detector predicted for the test images of one category: maps/00000.npy at their own size,
    scores.npy, and logits.npy (one for the predicted defect type, zero for the others)."""

    name, version = "detector.ingest", 2

    @staticmethod
    def task(params: Mapping[str, Any]) -> Task:
        """`params`: what `bench ingest` registered for a category."""
        return DetectorIngest[Task]().to_task(params)

    def run(self: "DetectorIngest[Output]", run: StageRun) -> None:
        source = _source(run, "predictions")
        if source["maps"] is not None:
            (run.out / "maps").mkdir()
            for row, path in enumerate(source["maps"]):
                np.save(run.out / "maps" / f"{row:05d}.npy", read_map(Path(path)))
                run.context.progress(row + 1, len(source["maps"]))
        if source["scores"] is not None:
            np.save(run.out / "scores.npy", np.array(source["scores"], np.float32))
        if source["predicted"] is not None:
            classes = run.params["classes"]
            logits = np.zeros((len(source["predicted"]), len(classes)), np.float32)
            for row, predicted in enumerate(source["predicted"]):
                if predicted is not None:
                    logits[row, classes.index(predicted)] = 1
            np.save(run.out / "logits.npy", logits)


@dataclass(frozen=True)
class DetectorMaps(Stage[T]):
    """Ingested predictions at the resolution of the protocol: amaps.npy, scores.npy, logits.npy."""

    name, version = "detector.maps", 1
    payload = "predictions"
    ingested: T

    @staticmethod
    def task(config: PlanConfig, params: Mapping[str, Any]) -> Task:
        """What a detector elsewhere predicted for the test images of a category."""
        stage = DetectorMaps(DetectorIngest.task(params))
        return stage.to_task({"category": params["category"], "resolution": config.resolution})

    def run(self: "DetectorMaps[Output]", run: StageRun) -> None:
        folder, side = self.ingested.folder, run.params["resolution"]
        for name in ("scores.npy", "logits.npy"):
            if (folder / name).exists():
                np.save(run.out / name, np.load(folder / name, allow_pickle=False))
        files = sorted((folder / "maps").glob("*.npy"))
        if files:
            shape = (len(files), side, side)
            out = np.lib.format.open_memmap(run.out / "amaps.npy", mode="w+", dtype=np.float32, shape=shape)
            for row, path in enumerate(files):
                out[row] = read_map(path, side)
            out.flush()


def _source(run: StageRun, kind: str) -> Any:
    path = run.sources / f"{kind}-{run.params['content'][:32]}.json"
    if not path.exists():
        raise BenchError(
            f"the files of {run.params['name']} are not known here; "
            "run the `bench ingest` or `bench score` that named them again"
        )
    return json.loads(path.read_text())
