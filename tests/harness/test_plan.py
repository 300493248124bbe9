"""The protocol's plan: a pure function of what was asked and of what lies in the data set."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.planning.config import Skipped
from bench.planning.ingested import register
from bench.planning.plan import load_plan, make_plan, save_plan
from bench.planning.request import Prepared
from bench.record.record import UNKNOWN_COUNT
from bench.record.trained_elsewhere import TrainedElsewhere
from bench.store import Store, open_store
from bench.tasks import Task, closure

Prepare = Callable[..., Prepared]


def everything(prepared: Prepared) -> list[Task | Skipped]:
    return list(prepared.planned())


def goals(prepared: Prepared) -> list[Task]:
    return [item for item in everything(prepared) if isinstance(item, Task)]


def skipped(prepared: Prepared) -> list[Skipped]:
    return [item for item in everything(prepared) if isinstance(item, Skipped)]


def tasks(prepared: Prepared, stage: str = "", **params: Any) -> list[Task]:
    """All tasks of a stage whose parameters hold the given ones."""
    return [
        task
        for task in closure(goals(prepared)).values()
        if task.stage.startswith(stage) and params.items() <= task.params.items()
    ]


def keys(prepared: Prepared, stage: str = "", **params: Any) -> set[str]:
    return {task.key for task in tasks(prepared, stage, **params)}


def roles(task: Task) -> set[str]:
    return {role.partition("/")[0] for role, _ in task.inputs}


def test_the_number_of_tasks_by_stage(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, generators=("crop_paste", "perlin"), detectors=("unet", "resnet34"))
    assert Counter(task.stage for task in tasks(prepared)) == {
        "data.cache": 3,  # normal, base, test
        "data.duplicates": 1,
        "generator.fit": 2,
        "generator.sample": 5,  # crop_paste: four types; perlin: "any"
        "generator.cache": 2,
        "features": 3,  # of both generators and of the base
        "features.perceptual": 2,
        "features.lpips": 2,
        "generation.agreement": 2,
        "generation.nearest": 2,
        "score.generation": 2,
        "detector.fit": 8,  # unet: real, and two rows a generator; resnet34: real, two rows of crop_paste
        "detector.predict": 8,
        "score.detection": 5,
        "data.truth": 1,
        "score.classification": 3,
    }


def test_planning_twice_gives_the_same_plan(store: Store, prepare: Prepare, tmp_path: Path) -> None:
    asked = {"generators": ("crop_paste", "perlin"), "seeds": (0, 3)}
    one, other = (
        make_plan(prepared.planned(), prepared.about)[0]
        for prepared in (prepare(store, **asked), prepare(open_store(tmp_path / "2", create=True), **asked))
    )
    assert one == other
    assert one.digest == other.digest


def test_a_plan_comes_back_from_disk_as_it_was(store: Store, planned: Callable[..., Any]) -> None:
    plan, _ = planned(store, generators=("perlin",), detectors=("unet", "resnet34"))
    loaded = load_plan(save_plan(plan, store.root / "runs"))
    assert loaded.digest == plan.digest
    assert (loaded.goals, loaded.skipped) == (plan.goals, plan.skipped)


def test_samples_are_made_in_chunks(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, settings=("chunk=3", "generated_per_type=8"))
    parts = [
        (task.params["start"], task.params["stop"])
        for task in tasks(prepared, "generator.sample", defect="dent")
    ]
    assert parts == [(0, 3), (3, 6), (6, 8)]


def test_the_size_of_a_chunk_does_not_reach_other_samples(store: Store, prepare: Prepare) -> None:
    whole, parts = (prepare(store, settings=(f"chunk={chunk}", "generated_per_type=8")) for chunk in (8, 4))
    assert keys(whole, "generator.fit") == keys(parts, "generator.fit")
    assert len(keys(parts, "generator.sample")) == 2 * len(keys(whole, "generator.sample"))


def test_settings_of_sampling_alone_share_a_fit(store: Store, prepare: Prepare) -> None:
    depth, edges = (
        prepare(store, generators=("anomalyhybrid",), settings=(f"anomalyhybrid.decoders={decoders}",))
        for decoders in ("ahd", "ahe")
    )
    assert keys(depth, "generator.fit") == keys(edges, "generator.fit") != set()
    assert keys(depth, "generator.sample").isdisjoint(keys(edges, "generator.sample"))


def test_each_row_trains_on_what_its_mix_names(store: Store, prepare: Prepare) -> None:
    found = {task.inputs and frozenset(roles(task)) for task in tasks(prepare(store), "detector.fit")}
    assert found == {
        frozenset({"normal", "real"}),
        frozenset({"normal", "generated"}),
        frozenset({"normal", "real", "generated"}),
    }
    mixes = [task.params["labels"]["mix"] for task in tasks(prepare(store), "score.detection")]
    assert mixes == ["real", "generated", "generated+real"]


def test_fits_of_different_rows_differ_in_shares_and_inputs_alone(store: Store, prepare: Prepare) -> None:
    fits = tasks(prepare(store, generators=("crop_paste", "perlin")), "detector.fit")
    assert len(fits) == 5
    rest = {
        json.dumps({name: value for name, value in task.params.items() if name != "shares"}, sort_keys=True)
        for task in fits
    }
    assert len(rest) == 1
    assert len({(task.stage, task.version, task.adapter, task.seed) for task in fits}) == 1
    assert all(task.params["shares"]["normal"] == 0.5 for task in fits)
    assert all(sum(task.params["shares"].values()) == pytest.approx(1) for task in fits)


def test_no_training_task_rests_on_test_images(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, detectors=("unet", "resnet34"))
    test = keys(prepared, "data.cache", part="test")
    for task in [*tasks(prepared, "generator."), *tasks(prepared, "detector.fit")]:
        assert not test & closure([task]).keys()


def test_a_checkpoint_chosen_on_the_test_set_is_another_fit_and_says_so(
    store: Store, prepare: Prepare
) -> None:
    oracle = prepare(store, settings=("selection='test-oracle'",))
    assert not keys(oracle, "detector.fit") & keys(prepare(store), "detector.fit")
    assert all("validation" in roles(task) for task in tasks(oracle, "detector.fit"))
    assert {task.params["labels"]["selection"] for task in tasks(oracle, "score.detection")} == {
        "test-oracle"
    }


def test_perlin_cannot_feed_a_classifier_and_the_plan_says_why(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, generators=("perlin",), detectors=("resnet34",))
    reasons = {cell.reason: cell.metrics for cell in skipped(prepared)}
    assert reasons["perlin knows no defect types, so its images have no label to learn"] == (
        ("classification", "accuracy"),
    )
    assert reasons["perlin makes no normal images"] == (("generation-normal", "kid"),)
    assert ("generation", "ic_lpips") in reasons["perlin knows no defect types; this metric is taken a type"]
    assert len(tasks(prepared, "detector.fit")) == 1  # the real third


def test_a_generator_without_types_makes_as_many_images_in_all(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, generators=("crop_paste", "perlin"))
    counts = [sum(task.params["counts"].values()) for task in tasks(prepared, "generator.cache")]
    assert counts == [16, 16]


def test_another_generator_changes_no_other_task(store: Store, prepare: Prepare) -> None:
    one = keys(prepare(store, generators=("crop_paste",), detectors=("unet", "resnet34")))
    two = keys(prepare(store, generators=("crop_paste", "perlin"), detectors=("unet", "resnet34")))
    other_order = keys(prepare(store, generators=("perlin", "crop_paste"), detectors=("resnet34", "unet")))
    assert one < two
    assert two == other_order


def test_a_seed_changes_what_is_drawn_and_keeps_what_is_decoded(store: Store, prepare: Prepare) -> None:
    one, other = prepare(store, seeds=(0,)), prepare(store, seeds=(1,))
    assert keys(one, "data.") == keys(other, "data.")
    for stage in ("generator.", "detector.", "score."):
        assert not keys(one, stage) & keys(other, stage)
    assert keys(prepare(store, seeds=(0, 1))) == keys(one) | keys(other)
    assert {task.seed for task in tasks(other, "detector.fit")} == {1}


def test_one_model_for_all_categories_or_one_each(
    store: Store, prepare: Prepare, two_categories: Path
) -> None:
    whole = prepare(store, data=two_categories, settings=("unet.scope='dataset'",))
    each = prepare(store, data=two_categories, settings=("unet.scope='category'",))
    assert (len(tasks(whole, "detector.fit")), len(tasks(each, "detector.fit"))) == (3, 6)
    assert len(tasks(whole, "detector.predict")) == len(tasks(each, "detector.predict")) == 6
    (fit,) = [task for task in tasks(whole, "detector.fit") if roles(task) == {"normal", "real"}]
    assert {role for role, _ in fit.inputs} == {
        f"{part}/{name}" for part in ("normal", "real") for name in ("leather", "washer")
    }
    assert {task.params["category"] for task in tasks(each, "detector.fit")} == {"leather", "washer"}
    assert {task.params["labels"]["scope"] for task in tasks(each, "score.detection")} == {"category"}


def test_a_data_set_that_only_knows_bad_skips_classification(
    store: Store, prepare: Prepare, tiny_data: Path, tmp_path: Path
) -> None:
    root = tmp_path / "plain"
    for part in ("train/good", "test/good"):
        shutil.copytree(tiny_data / "washer" / part, root / "thing" / part)
    shutil.copytree(tiny_data / "washer/test/dent", root / "thing/test/bad")
    shutil.copytree(tiny_data / "washer/ground_truth/dent", root / "thing/ground_truth/bad")
    prepared = prepare(store, data=root, detectors=("unet", "resnet34"))
    reasons = {cell.reason for cell in skipped(prepared) if ("classification", "accuracy") in cell.metrics}
    assert reasons == {"thing has no defect types to tell apart"}
    assert tasks(prepared, "score.classification") == []
    assert len(tasks(prepared, "score.detection")) == 3


def test_an_ingested_generator_and_detector_take_part(store: Store, prepare: Prepare) -> None:
    test = prepare(store).config.splits[0].categories[0].test
    made = {
        defect: {"name": "mine", "category": "washer", "defect": defect, "content": "c" * 64, "count": 3}
        for defect in ("dent", "stain")
    }
    register(store, "generator", "mine", {"washer": made})
    said = {
        "name": "theirs",
        "category": "washer",
        "content": "d" * 64,
        "test": test.digest,
        "gives": ["maps"],
        "classes": ["dent", "stain"],
    }
    register(store, "detector", "theirs", {"washer": said})
    prepared = prepare(store, generators=("mine",), detectors=("unet", "theirs"))
    assert [task.params["defect"] for task in tasks(prepared, "generator.ingest")] == ["dent", "stain"]
    (pool,) = tasks(prepared, "generator.cache")
    assert pool.params["counts"] == {"dent": 3, "stain": 3}
    assert tasks(prepared, "generator.fit") == []
    rows = [
        (task.params["labels"]["detector"], task.params["labels"]["mix"])
        for task in tasks(prepared, "score.detection")
    ]
    assert rows == [
        ("unet", "real"),
        ("unet", "generated"),
        ("unet", "generated+real"),
        ("theirs", "unknown"),
    ]
    assert len(tasks(prepared, "detector.ingest")) == len(tasks(prepared, "detector.maps")) == 1

    trained = TrainedElsewhere("generated+real", "category", "last")
    register(store, "detector", "theirs", {"washer": said}, trained)
    (stated,) = tasks(prepare(store, generators=("mine",), detectors=("theirs",)), "score.detection")
    labels = stated.params["labels"]
    assert {name: labels[name] for name in trained.labels} == {
        "mix": "generated+real",
        "scope": "category",
        "selection": "last",
        "generated_per_type": UNKNOWN_COUNT,
    }

    other = prepare(store, generators=("mine",), detectors=("theirs",), shots=None, split="random")
    assert "theirs was ingested for another test set of washer" in {cell.reason for cell in skipped(other)}


def test_a_random_split_is_drawn_a_seed(store: Store, prepare: Prepare) -> None:
    prepared = prepare(store, split="random", seeds=(0, 1))
    assert len(keys(prepared, "data.cache", part="base")) == 2
    assert len(keys(prepared, "data.cache", part="test")) == 2
    assert len(keys(prepared, "data.cache", part="normal")) == 1


def test_fewer_shots_keep_the_test_set(store: Store, prepare: Prepare, two_categories: Path) -> None:
    third, one, two = (prepare(store, data=two_categories, shots=shots) for shots in (None, 1, 2))
    for prepared in (one, two):
        assert keys(prepared, "data.cache", part="test") == keys(third, "data.cache", part="test")
    assert keys(one, "data.cache", part="base") != keys(two, "data.cache", part="base")
    assert keys(two, "data.cache", part="base") == keys(third, "data.cache", part="base")  # 6 // 3 is 2
    assert {count for each in one.config.splits[0].categories for count in each.base.counts.values()} == {1}
    assert {task.params["labels"]["shots"] for task in tasks(one, "score.")} == {"1"}


def test_a_data_set_that_was_moved_keeps_every_key(
    store: Store, prepare: Prepare, tiny_data: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "another place" / tiny_data.name
    shutil.copytree(tiny_data, moved)
    before = prepare(store)
    assert keys(prepare(store, data=moved)) == keys(before)
    rows = json.loads(next((store.root / "sources").glob("part-*.json")).read_text())
    assert all(Path(row["image"]).is_relative_to(moved) for row in rows)


def test_a_changed_image_changes_what_rests_on_it_alone(
    store: Store, prepare: Prepare, two_categories: Path, tmp_path: Path
) -> None:
    asked = {"detectors": ("unet",), "settings": ("unet.scope='category'",)}
    before = prepare(store, data=two_categories, **asked)
    changed = tmp_path / two_categories.name
    shutil.copytree(two_categories, changed)
    path = sorted((changed / "leather/test/hole").iterdir())[-1]
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    pixels.putpixel((0, 0), (1, 2, 3))
    pixels.save(path)
    after = prepare(store, data=changed, **asked)

    kept = keys(before) & keys(after)
    rest_on_it = keys(before, "data.", part="test", category="leather")
    assert len(rest_on_it) == 2  # the decoded images, and their masks under the rules of repositories
    for key, task in closure(goals(before)).items():
        names_the_fingerprint = task.stage.startswith("score.")
        assert (key in kept) == (not rest_on_it & closure([task]).keys() and not names_the_fingerprint)
