"""`bench verify --recompute`: honest scores stay honest on any number of threads, forged ones are found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from bench import api
from bench.store import open_store
from bench.upkeep.recompute import _are_close
from bench.upkeep.verify import remove_damaged

SIDE = 160
"""Maps of this side hold 20,000 distinct scores of defects: a BLAS sums them on all of its threads."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the maps of a detector were scored by a worker."""
    top = tmp_path_factory.mktemp("honest")
    rng = np.random.default_rng(0)

    def put(path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)

    for part in ("train/good", "test/good", "test/spot"):
        for number in range(6):
            image = rng.integers(256, size=(SIDE, SIDE), dtype=np.uint8)
            put(top / "data" / "part" / part / f"{number}.png", image)
            mask = np.zeros((SIDE, SIDE), bool)
            mask[20:100, 30:110] = part == "test/spot"
            if mask.any():
                put(top / f"data/part/ground_truth/spot/{number}_mask.png", mask * np.uint8(255))
            if part != "train/good":
                amap = (rng.normal(size=(SIDE, SIDE)) + mask).astype(np.float32)
                (top / "maps" / "part" / part[5:]).mkdir(parents=True, exist_ok=True)
                np.save(top / "maps" / "part" / part[5:] / f"{number}.npy", amap)
    scored = api.score(predictions=top / "maps", against=top / "data", resolution=SIDE, store=top / "store")
    assert scored.state == "done", scored.failed
    return top / "store"


@pytest.fixture
def copy(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "store", copy_function=shutil.copy2))


def score_of(root: Path) -> Path:
    (rows,) = root.glob("tasks/*/*/out/records.jsonl")
    return rows.parents[1]


@pytest.mark.parametrize(
    "threads", [pytest.param(1, marks=pytest.mark.full), 2, pytest.param(4, marks=pytest.mark.full)]
)
def test_honest_scores_are_made_again_equal(threads: int, honest: Path) -> None:
    with threadpool_limits(threads, user_api="blas"):
        verification = api.verify(honest, recompute=True)
    assert (verification.damaged, verification.damaged_files, verification.unbound) == ({}, {}, 0)
    assert verification.recomputed > 0


def test_replicates_whose_manifest_was_made_to_match_are_found(
    bench: Callable[..., Any], copy: Path, match_manifest: Callable[..., None]
) -> None:
    task = score_of(copy)
    draws = task / "out" / "replicates" / "pixel.ap.npy"
    np.save(draws, np.load(draws) * 0.5 + 0.4)
    match_manifest(task)
    assert bench("verify", "--store", copy).code == 0
    result = bench("verify", "--store", copy, "--recompute")
    assert result.code == 1
    assert f"{task.name}: scored again, replicates/pixel.ap.npy differs" in result.out


@pytest.mark.full
def test_a_value_from_another_machine_may_differ_by_rounding_and_no_more(
    copy: Path, match_manifest: Callable[..., None]
) -> None:
    task = score_of(copy)
    rows = task / "out" / "records.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    for change, damaged in ((1e-12, set()), (1e-2, {task.name})):
        lines[0]["value"] += change
        rows.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
        match_manifest(task, env="e")  # not this machine's
        assert set(api.verify(copy, recompute=True).damaged) == damaged
    match_manifest(task)


def test_what_gc_dropped_is_not_recomputable_and_no_damage(bench: Callable[..., Any], copy: Path) -> None:
    assert bench("gc", "--store", copy, "--drop", "caches,predictions,features,samples,models").code == 0
    before = sorted(path for path in copy.rglob("tasks/*/*/*"))
    result = bench("verify", "--store", copy, "--recompute", "--remove")
    assert result.code == 0, result.out
    assert "1 scores not recomputable: bench gc dropped what they were made from" in result.out
    assert sorted(path for path in copy.rglob("tasks/*/*/*")) == before


def test_what_gc_drops_between_a_look_and_a_removal_stays(copy: Path) -> None:
    store = open_store(copy)
    key = next(key for key in store.keys() if not (store.out(key) / "records.jsonl").exists())  # noqa: SIM118
    store.drop(key)
    remove_damaged(store, key, "index.json is missing")
    assert store.dropped(key)
    assert store.failure(key) is None


@pytest.mark.full
def test_a_store_that_cannot_be_written_is_verified(copy: Path, on_own_mounts: Callable[..., Any]) -> None:
    done = on_own_mounts(
        f"mount --bind {copy} {copy} && mount -o remount,bind,ro {copy}\n"
        f"$BENCH verify --recompute --store {copy}"
    )
    assert done.returncode == 0, done
    assert " 0 damaged" in done.stdout


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ({"value": 0.5, "n": 3}, {"value": 0.5 + 1e-9, "n": 3}, True),
        ({"value": 0.5, "n": 3}, {"value": 0.5, "n": 4}, False),
        ({"value": 0.5}, {"value": None}, False),
        ([[0.1, 0.2]], [[0.1, 0.21]], False),
        ([0.1], [0.1, 0.2], False),
    ],
)
def test_rounding_is_of_fractions_alone(one: object, other: object, close: bool, tmp_path: Path) -> None:
    for name, content in (("one", one), ("other", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert _are_close(tmp_path / "one.json", tmp_path / "other.json") is close
