"""The main job as a new user runs it, and everything that can be asked of the store afterwards."""

import csv
import json
import re
import shutil
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.metrics import IC_LPIPS_DIALECTS
from bench.record import catalogue
from bench.record.record import PROVENANCE, Record

MAIN_JOB = "run --protocol mvtec_supervised --scale smoke --categories chip,weave"
MASK_METRICS = ("mask_agreement", "mask_boundary", "mask_spill")
pytestmark = pytest.mark.xdist_group("main job")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_says_that_it_runs_on_the_sample_and_where_the_page_is(ran):
    output = (ran.folder / "first.txt").read_text()
    assert "built-in sample data set" in output
    assert str(ran.store / "report" / "index.html") in output


def test_every_cell_has_a_value_or_a_reason(ran):
    records = ran.records()
    assert {field.name for field in fields(Record)} == set(records[0])
    status = Counter(record["status"] for record in records)
    assert status["failed"] == 0
    assert all((record["value"] is not None) == (record["status"] == "ok") for record in records)
    assert all(record["note"] for record in records if record["status"] != "ok")


def test_every_entry_of_the_catalogue_is_recorded_or_says_why_not(ran):
    recorded = {
        (record["metric"], record["dialect"])
        for name in ("records", "dialects")
        for path in ran.store.glob(f"tasks/*/*/out/{name}.jsonl")
        for record in map(json.loads, path.read_text().splitlines())
    }
    entries = {
        (name, dialect)
        for name, metric in catalogue.metrics().items()
        if not metric.unrecorded and metric.table != "cost"
        for dialect in metric.dialects
        if not catalogue.dialects()[dialect].unrecorded
    }
    only_if_asked_for = {
        (metric, name) for metric in ("ic_lpips", "ic_lpips_a") for name in IC_LPIPS_DIALECTS
    }
    only_if_asked_for |= {("kid", "subset")}
    only_if_asked_for -= {(metric, "default") for metric in ("ic_lpips", "ic_lpips_a")}
    assert recorded == entries - only_if_asked_for
    costs = {record["metric"] for record in ran.records() if record["level"] == "cost"}
    assert costs <= {name for name, metric in catalogue.metrics().items() if metric.table == "cost"}


def test_every_kind_of_row_is_there_for_every_detector(ran):
    rows = {
        (record["detector"], record["mix"], record["generator"])
        for record in ran.records()
        if record["level"] in ("pixel", "classification") and record["status"] == "ok"
    }
    for detector in ("unet", "bisenet_v2"):
        expected = {("real", "none")} | {
            (mix, generator)
            for mix in ("generated", "generated+real")
            for generator in ("crop_paste", "perlin")
        }
        assert {row[1:] for row in rows if row[0] == detector} == expected
    classified = {row[1:] for row in rows if row[0] == "resnet34"}
    assert classified == {("real", "none"), ("generated", "crop_paste"), ("generated+real", "crop_paste")}


def test_records_say_that_the_features_are_embedded(ran):
    networks = ("is", "kid", "ic_lpips", "ic_lpips_a", "copies", "leaks")
    generation = [record for record in ran.records() if record["metric"] in networks and record["value"]]
    assert generation
    assert all("embedded" in record["features"] for record in generation)
    assert all(len(record["weights_sha256"]) == 64 for record in generation)


def test_the_same_command_again_does_no_work_and_leaves_the_page_as_it_is(ran):
    page, tasks = files(ran.store / "report"), set((ran.store / "tasks").rglob("*"))
    again = ran.main_job()
    assert again.code == 0
    assert "0 tasks to run" in again.out
    assert set((ran.store / "tasks").rglob("*")) == tasks
    assert files(ran.store / "report") == page


def test_the_page_rendered_anew_has_the_same_bytes(ran):
    page = files(ran.store / "report")
    assert ran.bench("report").code == 0
    assert files(ran.store / "report") == page
    assert ran.bench("report", "--out", "elsewhere").code == 0
    assert files(ran.folder / "elsewhere") == page


def test_the_page_needs_no_network(ran):
    page = (ran.store / "report" / "index.html").read_text()
    assert "http://" not in page
    assert "https://" not in page


def test_verify_finds_nothing_and_scores_the_same_again(ran):
    verified = ran.bench("verify", "--recompute")
    assert verified.code == 0, verified.out
    assert " 0 damaged" in verified.out


def test_a_flipped_bit_is_found_removed_and_made_again(ran, tmp_path):
    copy = tmp_path / "bench-store"
    shutil.copytree(ran.store, copy)
    victim = next(copy.glob("tasks/*/*/out/records.jsonl"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    key = victim.parents[1].name
    report = ran.bench("verify", "--store", str(copy), "--remove")
    assert report.code == 1
    assert f"{key}: records.jsonl was changed" in report.out
    again = ran.bench(*MAIN_JOB.split(), "--store", str(copy))
    assert "1 tasks to run" in again.out
    assert victim.read_bytes() == whole


def test_status_show_and_log_tell_of_tasks(ran):
    assert "results are there" in ran.bench("status").out
    key = next(ran.store.glob("tasks/*/*/out/trace.csv")).parents[1].name
    assert '"stage": "detector.fit"' in ran.bench("show", key[:12]).out
    assert ran.bench("log", key[:12]).code == 0


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "md", "tex"])
def test_export_writes_every_format(ran, ending):
    out = ran.folder / f"table.{ending}"
    assert ran.bench("export", str(out)).code == 0
    assert out.stat().st_size > 500


def test_every_generator_is_asked_whether_it_copies_and_its_closest_pairs_are_shown(ran):
    rows = [record for record in ran.records() if record["level"] == "generation"]
    cells = {(row["generator"], row["category"]) for row in rows if row["metric"] == "kid"}
    assert {generator for generator, _ in cells} >= {"crop_paste", "perlin"}
    for metric in ("copies", "leaks", *MASK_METRICS):
        measured = {(row["generator"], row["category"]) for row in rows if row["metric"] == metric}
        assert measured == cells, metric
    (page,) = (ran.store / "report").glob("mvtec_supervised-*/gallery.html")
    gallery = page.read_text()
    for generator, _ in cells:
        assert f"an image of {generator} beside the " in gallery


def test_intervals_tell_what_bins_cost(ran):
    valued = [record for record in ran.records() if record["status"] == "ok"]
    pixel = [record for record in valued if record["level"] == "pixel" and record["dialect"] == "default"]
    moved = [re.search(r"moves the value by (\S+)$", record["ci_method"]) for record in pixel]
    assert moved
    assert all(distance is not None and float(distance[1]) < 1e-3 for distance in moved)


def test_a_csv_row_has_every_key(ran):
    out = ran.folder / "rows.csv"
    assert ran.bench("export", str(out)).code == 0
    rows = list(csv.DictReader(out.open()))
    assert set(rows[0]) == {field.name for field in fields(Record)}


def test_extracted_samples_can_be_ingested_and_score_as_before(ran, tmp_path):
    extracted = tmp_path / "made elsewhere"
    assert ran.bench("samples", "extract", str(extracted), "--generator", "crop_paste").code == 0
    (data,) = (ran.store / "data").glob("*/sample")
    ingested = ran.bench("ingest", "--generator", "mine", "--from", str(extracted), "--data", str(data))
    assert ingested.code == 0, ingested.out + ingested.err
    assert ran.bench(*MAIN_JOB.split(), "--generators", "mine", "--detectors", "unet").code == 0
    ours = scores(ran.records(), generator="mine", level="generation")
    ran.main_job()
    theirs = scores(ran.records(), generator="crop_paste", level="generation")
    # how masks fit is seen against base images, which a folder of images and masks does not have
    assert without_masks(ours) == without_masks(theirs)


def test_scoring_a_folder_alone_gives_what_the_protocol_gave(ran, tmp_path):
    ran.main_job()
    theirs = scores(ran.records(), generator="crop_paste", level="generation")
    folder, out = tmp_path / "folder", tmp_path / "scores.json"
    assert ran.bench("samples", "extract", str(folder), "--generator", "crop_paste").code == 0
    (data,) = (ran.store / "data").glob("*/sample")
    done = ran.bench("score", str(folder), "--against", str(data), "--resolution", "64", "--out", str(out))
    assert done.code == 0, done.out + done.err
    ours = scores(json.loads(out.read_text()), level="generation")
    assert without_masks(ours) == without_masks(theirs)


def test_ingested_maps_score_as_the_detector_that_made_them(ran, tmp_path):
    (data,) = (ran.store / "data").glob("*/sample")
    ran.main_job()
    elsewhere = tmp_path / "maps"
    write_maps(ran.store, elsewhere)
    out = tmp_path / "scores.json"
    done = ran.bench(
        "score",
        "--predictions",
        str(elsewhere),
        "--against",
        str(data),
        "--resolution",
        "64",
        "--out",
        str(out),
    )
    assert "bench: " in done.err  # the other categories have no maps
    subset = tmp_path / "data"
    for category in ("chip", "weave"):
        shutil.copytree(data / category, subset / category)
    done = ran.bench(
        "score",
        "--predictions",
        str(elsewhere),
        "--against",
        str(subset),
        "--resolution",
        "64",
        "--out",
        str(out),
    )
    assert done.code == 0, done.out + done.err
    ours = scores(json.loads(out.read_text()), level="pixel")
    theirs = scores(ran.records(), level="pixel", detector="unet", mix="real")
    assert ours == theirs


def test_real_photographs_run_with_the_same_command(magnetic_tiles, ran):
    command = (
        "run --protocol mvtec_supervised --scale smoke --generators crop_paste --detectors unet --store tiles"
    )
    done = ran.bench(*command.split(), "--data", str(magnetic_tiles))
    assert done.code == 0, done.out + done.err
    pages = (ran.folder / "tiles" / "report").rglob("*.html")
    assert any("uneven" in page.read_text(encoding="utf-8") for page in pages)


def scores(records: list[dict], **fields: str) -> dict[tuple, float]:
    """Values by category, defect and metric of the records with these fields."""
    assert "seconds" in PROVENANCE
    return {
        (record["category"], record["defect"], record["metric"]): record["value"]
        for record in records
        if all(record[name] == value for name, value in fields.items()) and record["value"] is not None
    }


def without_masks(values: dict[tuple, float]) -> dict[tuple, float]:
    assert {key[-1] for key in values} >= set(MASK_METRICS)
    return {key: value for key, value in values.items() if key[-1] not in MASK_METRICS}


def write_maps(store: Path, folder: Path) -> None:
    """The anomaly maps of the UNet of real defects, as a program elsewhere would leave them."""
    for task in store.glob("tasks/*/*/task.json"):
        definition = json.loads(task.read_text())
        labels = definition["params"].get("labels", {})
        if definition["stage"] != "score.detection" or (labels["detector"], labels["mix"]) != (
            "unet",
            "real",
        ):
            continue
        inputs = {role: store / "tasks" / key[:2] / key / "out" for role, key in definition["inputs"]}
        items = json.loads((inputs["test"] / "index.json").read_text())
        for item, amap in zip(items, np.load(inputs["prediction"] / "amaps.npy"), strict=True):
            target = folder / labels["category"] / item["defect"] / f"{item['stem']}.tiff"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(amap).save(target)
