"""Small real things: records scored from random predictions, with bootstrap replicates, pools and maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.pool import PoolWriter
from bench.metrics.uncertainty import spread_of_mean
from bench.record.record import UNKNOWN, Record
from bench.results.run import Curves, DataNotes, Gallery, Maps, NearPair, Results, Trace

IMAGES, REPLICATES, SIZE = 40, 200, 32
CATEGORIES = ("bolt", "cloth", "tile")
ROWS = (
    ("none", "real", 0.6),
    ("strong", "generated+real", 0.95),
    ("same", "generated+real", 0.6),
    ("weak", "generated", 0.25),
)


@dataclass
class Board:
    """Records as they come in, and the replicates of their tasks."""

    records: list[Record] = field(default_factory=list)
    stored: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def replicates(self, task: str) -> Mapping[str, np.ndarray]:
        return self.stored.get(task, {})

    def add(self, correct: np.ndarray | None = None, **fields: object) -> Record:
        """One record; of `correct` flags bool [N] its value is the mean, its replicates bootstrapped."""
        facts: dict[str, object] = {
            "protocol": "p",
            "protocol_version": 1,
            "scale": "smoke",
            "dataset": "d",
            "dataset_fingerprint": "f",
            "category": "bolt",
            "split": "first-third@1",
            "resolution": SIZE,
            "mix": "generated",
            "generator": "g",
            "generated_per_type": 10,
            "detector": "unet",
            "level": "classification",
            "metric": "accuracy",
        } | fields
        if facts["mix"] == "real":
            facts |= {"generator": "none", "generated_per_type": 0}
        names = ("level", "metric", "dialect", "category", "mix", "generator", "detector", "seed")
        task = "/".join(str(facts.get(name)) for name in names)
        if correct is not None:
            # The same resamples for every row of one category: differences are paired.
            draws = np.random.default_rng([len(correct), *str(facts["category"]).encode()])
            picks = draws.integers(len(correct), size=(REPLICATES, len(correct)))
            self.stored[task] = {f"{facts['level']}.{facts['metric']}": correct[picks].mean(axis=1)}
            spread = spread_of_mean(correct)
            facts |= {"value": float(correct.mean()), "stderr": spread.error, "df": spread.df}
        record = Record(**facts, task=task)  # type: ignore[arg-type]
        self.records.append(record)
        return record


@pytest.fixture
def board() -> Board:
    return Board()


def flags(skill: float, *names: int) -> np.ndarray:
    """Which of IMAGES test images a classifier of this skill gets right; noise is shared between skills."""
    return np.random.default_rng([IMAGES, *names]).random(IMAGES) < skill


@pytest.fixture
def fill() -> Callable[..., None]:
    """Adds an accuracy record for every row, category and seed to a board."""

    def filled(board: Board, categories: tuple[str, ...] = CATEGORIES, seeds: tuple[int, ...] = (0,)) -> None:
        for i, category in enumerate(categories):
            for seed in seeds:
                for generator, mix, skill in ROWS:
                    correct = flags(skill, i, seed)
                    board.add(correct, category=category, seed=seed, generator=generator, mix=mix)

    return filled


def write_pool(folder: Path, rng: np.random.Generator, bad: int = 6, good: int = 3) -> Path:
    """A pool of grey noise with square defects."""
    folder.mkdir(parents=True)
    writer = PoolWriter(folder, bad + good, SIZE, fields=("masks",))
    for row in range(bad + good):
        image = rng.integers(60, 120, (SIZE, SIZE, 3), dtype=np.uint8)
        mask = np.zeros((SIZE, SIZE), bool)
        if row < bad:
            y, x = rng.integers(4, SIZE - 12, 2)
            mask[y : y + 8, x : x + 8] = True
            image[mask] = 220
        writer.add({"defect": "hole" if row < bad else "good", "stem": f"{row:03d}"}, image, masks=mask)
    writer.close()
    return folder


@pytest.fixture
def results(tmp_path: Path, board: Board, fill: Callable[..., None]) -> Results:
    """A run with every section of a page filled."""
    rng = np.random.default_rng(5)
    fill(board)
    board.add(
        mix="generated", generator="strong", status="failed", note="loss is not finite", metric="recall"
    )
    board.add(
        mix="", generator="strong", detector="none", level="generation", metric="is", value=1.8, stderr=0.1
    )
    board.add(
        mix="", generator="strong", detector="none", level="cost", metric="fit seconds", unit="s", value=96.0
    )
    pool = write_pool(tmp_path / "data" / "pool", rng)
    maps, traces = [], []
    for generator, mix, skill in ROWS:
        prediction = tmp_path / "data" / f"{generator}-{mix}"
        prediction.mkdir()
        masks = np.load(pool / "masks.npy")
        np.save(prediction / "amaps.npy", (masks * skill + rng.random(masks.shape) * 0.5).astype(np.float32))
        np.save(prediction / "scores.npy", rng.random(len(masks), dtype=np.float32))
        maps.append(Maps("bolt", "unet", generator, mix, 0, pool, prediction))
        steps = np.arange(500.0)
        traces.append(
            Trace("unet", generator, mix, "", 0, {"step": steps, "loss": np.exp(-steps / 90) + skill})
        )
    scored = [record for record in board.records if record.detector == "unet" and record.value is not None]
    dialects = [
        replace(record, dialect=dialect, value=(record.value or 0.0) * factor)
        for record in scored
        for dialect, factor in (("last-batch", 0.9), ("truncate", 1.1))
        if record.metric == "accuracy"
    ]
    points = {"roc": np.array([[0.0, 0.0], [0.2, 0.9], [1.0, 1.0]]), "pr": np.array([[0.1, 1.0], [1.0, 0.4]])}
    curves = [
        Curves("bolt", "unet", generator, mix, 0, {"pixel": points, "image": points})
        for generator, mix, _ in ROWS
    ]
    facts = {"kind": "published", "protocol": "p", "dataset": "mvtec_ad", "category": "mean", "status": "ok"}
    printed = [
        Record(**facts, source="Seas, Table 4", mix="generated", generator=generator, detector="unet",
               level="classification", metric="accuracy", value=value, split=UNKNOWN)
        for generator, value in (("weak", 0.71), ("seas", 0.81))
    ] + [
        Record(**facts, source="Seas, Table 7", generator="seas", level="cost", metric="train_hours_a100",
               unit="h", value=73.0)
    ]  # fmt: skip
    return Results(
        protocol="p",
        scale="smoke",
        dataset="d",
        records=tuple(board.records),
        dialects=tuple(dialects),
        curves=tuple(curves),
        published=tuple(printed),
        commands={record.task: "bench run --protocol p --detectors unet,other" for record in scored},
        near_pairs=(NearPair("bolt", "hole", "strong", 0, 0.2, 0.4, False, (pool, 3), (pool, 0)),),
        replicates=board.replicates,
        provenance={"command": "bench run --protocol p", "seeds": [0], "packages": {"numpy": "2.4"}},
        banner="Built-in sample data with embedded features.",
        galleries=(
            Gallery("bolt", "hole", "strong", 0, pool, (3, 4, 5)),
            Gallery("bolt", "hole", "real", 0, pool, (0, 1, 2)),
        ),
        maps=tuple(maps),
        traces=tuple(traces),
        data_notes=DataNotes(
            warnings=("bolt/hole/004.png: empty mask",),
            near_duplicates=({"category": "bolt", "base": "000", "test": "004", "distance": 2},),
        ),
    )
