import json
import os
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.data.check import Report, check_dataset
from bench.data.fingerprint import Digests, dataset_fingerprint
from bench.data.images import resize_mask
from bench.data.layout import find_dataset
from bench.data.problems import ERRORS, WARNINGS
from bench.data.shift import brightness_shifts
from bench.data.split import make_split
from bench.data.vanishing import resolution_that_keeps
from bench.errors import BenchError


@pytest.fixture
def bolt(tmp_path, write_category):
    """The folder of a sound category, to be spoilt."""
    return write_category(tmp_path / "bolt", crack=4, dent=3)


@pytest.fixture
def found(tmp_path):
    """Check the data set and list what was found, as (kind, path)."""

    def check():
        return [(p.kind, p.path) for p in check_dataset(find_dataset(tmp_path)).problems]

    return check


def save(values, path):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def mask_values(*levels):
    values = np.zeros((16, 24))
    for i, level in enumerate(levels):
        values[:, 4 * i : 4 * i + 4] = level
    return values


def test_a_sound_data_set_has_no_problems(bolt, found):
    assert found() == []


def test_an_image_that_cannot_be_read_is_an_error(bolt, found):
    path = bolt / "train" / "good" / "001.png"
    path.write_bytes(path.read_bytes()[:200])
    assert found() == [("unreadable", "bolt/train/good/001.png")]


def test_a_mask_that_cannot_be_read_is_an_error(bolt, found):
    (bolt / "ground_truth" / "crack" / "000_mask.png").write_bytes(b"?")
    assert found() == [("unreadable", "bolt/ground_truth/crack/000_mask.png")]


def test_a_mask_of_another_size_is_an_error(bolt, found, mask):
    mask(23, 16).save(bolt / "ground_truth" / "crack" / "000_mask.png")
    assert found() == [("mask-size", "bolt/ground_truth/crack/000_mask.png")]


def test_a_missing_mask_is_an_error(bolt, found):
    (bolt / "ground_truth" / "crack" / "002_mask.png").unlink()
    assert found() == [("missing-mask", "bolt/test/crack/002.png")]


def test_a_type_without_any_mask_is_one_error(bolt, found):
    for path in (bolt / "ground_truth" / "crack").iterdir():
        path.unlink()
    (bolt / "ground_truth" / "crack").rmdir()
    assert found() == [("missing-mask", "bolt/test/crack")]


def test_a_mask_without_image_is_a_warning(bolt, found):
    (bolt / "test" / "crack" / "003.png").unlink()
    assert found() == [("mask-without-image", "bolt/ground_truth/crack/003_mask.png")]


def test_masks_of_a_type_that_has_no_folder_are_without_images(bolt, found, mask):
    (bolt / "ground_truth" / "rust").mkdir()
    mask().save(bolt / "ground_truth" / "rust" / "000_mask.png")
    assert found() == [("mask-without-image", "bolt/ground_truth/rust/000_mask.png")]


@pytest.mark.parametrize(
    ("levels", "kind"),
    [
        ((0,), "empty-mask"),
        ((255,) * 6, "full-mask"),
        ((200, 230), "mask-values"),
        ((90, 200), "mask-classes"),
        ((1, 2), "mask-ids"),
    ],
)
def test_doubtful_values_of_masks_are_warnings(bolt, found, levels, kind):
    save(mask_values(*levels), bolt / "ground_truth" / "dent" / "001_mask.png")
    assert found() == [(kind, "bolt/ground_truth/dent/001_mask.png")]


def test_defects_that_the_resolution_of_the_run_loses_are_counted_by_type_with_the_one_that_keeps_them(
    tmp_path, bolt
):
    for number, width in ((0, 1), (1, 3)):
        save(
            np.random.default_rng(number).integers(0, 256, (800, 800, 3)),
            bolt / "test" / "dent" / f"00{number}.png",
        )
        values = np.zeros((800, 800))
        values[400, 400 : 400 + width] = 255
        save(values, bolt / "ground_truth" / "dent" / f"00{number}_mask.png")
    dataset = find_dataset(tmp_path)
    (problem,) = check_dataset(dataset).problems
    assert (problem.kind, problem.path) == ("vanishing-mask", "bolt/ground_truth/dent")
    total = len(dataset.category("bolt").defects["dent"])
    assert problem.message.startswith(f"bolt/ground_truth/dent has 2 of {total} dent masks of which nothing")
    size = int(re.search(r"(\d+)x\1 keeps them all$", problem.message)[1])
    assert check_dataset(dataset, resolution=size).problems == ()
    assert check_dataset(dataset, resolution=800).problems == ()


def test_the_resolution_that_keeps_a_mask_is_the_least_step_that_leaves_a_pixel():
    hairline = np.zeros((512, 512), bool)
    hairline[100:300, 61:63] = True
    size = resolution_that_keeps(hairline, 128)
    assert size % 32 == 0
    assert resize_mask(hairline, size).any()
    assert not any(resize_mask(hairline, below).any() for below in range(128, size, 32))
    assert resolution_that_keeps(hairline, size) is None
    assert resolution_that_keeps(np.zeros((9, 9), bool), 4) is None


def test_types_of_two_images_are_warned_of_and_of_one_refused(bolt, found):
    kinds = []
    for name in ("001", "002"):
        (bolt / "test" / "dent" / f"{name}.png").unlink()
        (bolt / "ground_truth" / "dent" / f"{name}_mask.png").unlink()
        kinds += [kind for kind, _ in found()]
    assert kinds == ["few-images", "too-few-images"]


def test_a_category_without_normal_images_is_an_error(bolt, found):
    for path in (bolt / "train" / "good").iterdir():
        path.unlink()
    assert found() == [("no-normal-images", "bolt/train/good")]


def test_a_category_without_defects_is_an_error(tmp_path, write_category, found):
    write_category(tmp_path / "bolt")
    assert found() == [("no-defects", "bolt/test")]


def test_a_missing_test_good_is_a_warning(bolt, found):
    for path in (bolt / "test" / "good").iterdir():
        path.unlink()
    assert found() == [("no-normal-test-images", "bolt/test/good")]


def test_an_empty_defect_folder_is_a_warning(bolt, found):
    (bolt / "test" / "rust").mkdir()
    assert found() == [("empty-folder", "bolt/test/rust")]


def test_two_images_of_one_stem_are_a_warning(bolt, found, photograph):
    photograph(77).save(bolt / "test" / "crack" / "001.bmp")
    assert found() == [
        ("duplicate-stem", "bolt/test/crack/001.bmp"),
        ("duplicate-stem", "bolt/test/crack/001.png"),
    ]


def test_one_image_in_training_and_in_test_is_a_warning_that_says_so(tmp_path, bolt):
    (bolt / "test" / "good" / "001.png").write_bytes((bolt / "train" / "good" / "000.png").read_bytes())
    (problem,) = check_dataset(find_dataset(tmp_path)).problems
    assert problem.kind == "duplicate-image"
    assert problem.message == (
        "bolt/test/good/001.png has the same bytes as bolt/train/good/000.png, "
        "which puts one image in training and in test"
    )


def test_stray_files_and_folders_are_warnings(bolt, found, tmp_path):
    (bolt / "test" / "crack" / "notes.txt").touch()
    (tmp_path / "split_csv").mkdir()
    assert found() == [("stray-file", "split_csv"), ("stray-file", "bolt/test/crack/notes.txt")]


def test_an_exif_orientation_is_a_warning(bolt, found):
    exif = Image.Exif()
    exif[0x0112] = 8
    (bolt / "test" / "good" / "000.png").unlink()
    Image.new("RGB", (24, 16)).save(bolt / "test" / "good" / "000.jpg", exif=exif)
    assert found() == [("exif-orientation", "bolt/test/good/000.jpg")]


def test_depth_maps_are_checked_too(tmp_path, photograph, mask):
    for first, part in ((0, "train/good"), (10, "test/good"), (20, "test/cut")):
        for sub in ("rgb", "xyz", "gt"):
            (tmp_path / "bagel" / part / sub).mkdir(parents=True)
        for i in range(3):
            photograph(first + i).save(tmp_path / "bagel" / part / "rgb" / f"{i}.png")
            tifffile.imwrite(
                tmp_path / "bagel" / part / "xyz" / f"{i}.tiff", np.ones((16, 24, 3), np.float32)
            )
            marked = mask() if part == "test/cut" else Image.new("L", (24, 16))
            marked.save(tmp_path / "bagel" / part / "gt" / f"{i}.png")
    cut = tmp_path / "bagel" / "test" / "cut" / "xyz"
    (cut / "0.tiff").write_bytes(b"II*\0 damaged")
    tifffile.imwrite(cut / "1.tiff", np.ones((8, 8, 3), np.float32))
    (cut / "2.tiff").unlink()
    problems = check_dataset(find_dataset(tmp_path)).problems
    assert [(p.kind, p.path) for p in problems] == [
        ("missing-depth", "bagel/test/cut/rgb/2.png"),
        ("unreadable", "bagel/test/cut/xyz/0.tiff"),
        ("mask-size", "bagel/test/cut/xyz/1.tiff"),
    ]


def test_all_problems_are_listed_at_once_and_each_message_is_one_sentence_with_its_path(tmp_path, bolt, mask):
    (bolt / "train" / "good" / "000.png").write_bytes(b"")
    mask(9, 9).save(bolt / "ground_truth" / "crack" / "000_mask.png")
    (bolt / "ground_truth" / "dent" / "000_mask.png").unlink()
    (bolt / "notes.doc").touch()
    report = check_dataset(find_dataset(tmp_path))
    assert report.counts() == {"unreadable": 1, "mask-size": 1, "missing-mask": 1, "stray-file": 1}
    assert (len(report.errors), len(report.warnings)) == (3, 1)
    for problem in report.problems:
        assert problem.message.startswith(problem.path)
        assert "\n" not in problem.message
        assert str(tmp_path) not in problem.message


def test_no_kind_is_an_error_and_a_warning():
    assert not set(ERRORS) & set(WARNINGS)


def test_a_report_survives_json(tmp_path, bolt):
    (bolt / "notes.doc").touch()
    report = check_dataset(find_dataset(tmp_path))
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_report_does_not_depend_on_the_number_of_workers(tmp_path, bolt, mask):
    for i in range(4):
        mask(9, 9 + i).save(bolt / "ground_truth" / "crack" / f"{i:03}_mask.png")
    dataset = find_dataset(tmp_path)
    assert check_dataset(dataset, workers=1) == check_dataset(dataset, workers=5)


def test_progress_reaches_the_number_of_images(tmp_path, bolt):
    counts = []
    report = check_dataset(find_dataset(tmp_path), progress=lambda done, total: counts.append((done, total)))
    assert counts == [(i, 12) for i in range(1, 13)]
    assert report.images == 12


def test_a_check_leaves_the_digests_that_a_fingerprint_needs(tmp_path, bolt):
    dataset = find_dataset(tmp_path)
    digests = Digests()
    check_dataset(dataset, digests=digests)
    assert dataset_fingerprint(dataset, digests) == dataset_fingerprint(dataset)


def test_the_magnetic_tiles_have_soft_masks_two_of_them_empty_and_one_nearly(mtd):
    report = check_dataset(mtd)
    assert report.errors == ()
    assert report.counts() == {"empty-mask": 2, "vanishing-mask": 1, "mask-values": 196}
    empty = [p.path for p in report.problems if p.kind == "empty-mask"]
    assert empty == [f"magnetic_tile/ground_truth/uneven/{n}_mask.png" for n in ("025", "033")]


@pytest.mark.parametrize("name", ["train/good/{}.png", "test/{}", "ground_truth/crack/{}_mask.png"])
def test_a_name_that_is_no_utf8_is_refused_in_a_sentence_that_can_be_printed(bolt, tmp_path, name):
    path = bolt / name.format(os.fsdecode(b"\xff"))
    path.touch() if path.suffix else path.mkdir()
    with pytest.raises(BenchError, match="not UTF-8; rename it") as refusal:
        find_dataset(tmp_path)
    assert "bolt/" + name.format(r"\xff") in str(refusal.value)
    str(refusal.value).encode("utf-8")


def test_what_brightness_tells_on_one_side_of_the_tiles_it_does_not_on_the_other(mtd):
    brightness = check_dataset(mtd).brightness
    assert len(brightness) == 674
    (sentence,) = brightness_shifts(make_split(mtd), mtd.root, brightness)
    assert sentence.startswith("magnetic_tile: ") and "AUROC of 20" in sentence and "with 68" in sentence
    assert list(brightness_shifts(make_split(mtd, "random", 0), mtd.root, brightness)) == []


def test_few_images_that_differ_in_brightness_by_chance_are_not_told(tmp_path, bolt):
    dataset = find_dataset(tmp_path)
    assert list(brightness_shifts(make_split(dataset), tmp_path, check_dataset(dataset).brightness)) == []
