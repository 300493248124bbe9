"""One rule for data sets, for ingest and for score: junk, links, pipes and names."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from bench.data.check import check_dataset
from bench.data.folder import is_junk
from bench.data.layout import find_dataset
from bench.errors import BenchError
from bench.ingestion.generated import scan_generated
from bench.ingestion.predictions import Target, scan_predictions

JUNK = [
    ".DS_Store",
    "._000.png",
    ".nfs000001",
    ".ipynb_checkpoints",
    "__MACOSX",
    "@eaDir",
    "Thumbs.db",
    "desktop.ini",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
    "#recycle",
    "__pycache__",
]


@pytest.fixture
def bolt(tmp_path, write_category):
    return write_category(tmp_path / "data" / "bolt", crack=4, dent=3)


def write_generated(folder, mask, defect="crack", count=2):
    for part in ("image", "mask"):
        (folder / "bolt" / defect / part).mkdir(parents=True, exist_ok=True)
    for row in range(count):
        Image.new("RGB", (24, 16)).save(folder / "bolt" / defect / "image" / f"{row}.png")
        mask().save(folder / "bolt" / defect / "mask" / f"{row}.png")
    return folder


def write_maps(folder):
    (folder / "bolt" / "crack").mkdir(parents=True)
    np.save(folder / "bolt" / "crack" / "000.npy", np.zeros((4, 4), np.float32))
    return folder


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_passed_over_wherever_a_folder_is_listed(tmp_path, bolt, mask, name):
    generated, maps = write_generated(tmp_path / "made", mask), write_maps(tmp_path / "maps")
    levels = ("", "bolt", "bolt/test", "bolt/test/crack", "bolt/train/good", "bolt/ground_truth/crack")
    for folder in (
        [bolt.parent / level for level in levels]
        + [generated / level for level in ("", "bolt", "bolt/crack", "bolt/crack/image", "bolt/crack/mask")]
        + [maps / level for level in ("", "bolt", "bolt/crack")]
    ):
        (folder / name).mkdir()
        (folder / name / "000.png").touch()
    assert is_junk(name)
    assert check_dataset(find_dataset(bolt.parent)).problems == ()
    assert len(scan_generated(generated, {"bolt": ("crack",)}).items) == 2
    assert scan_predictions(maps, [Target("bolt", "crack", "000")], {"bolt": ("crack",)}).maps is not None


LINKED = ["bolt", "bolt/train/good", "bolt/test/crack", "bolt/ground_truth", "bolt/ground_truth/crack"]
LINKED += ["bolt/test/crack/000.png", "bolt/ground_truth/crack/000_mask.png", "bolt/test"]


@pytest.mark.parametrize("path", LINKED)
def test_a_link_that_leaves_the_data_set_is_refused_at_any_level(tmp_path, bolt, write_category, path):
    write_category(bolt.parent / "nut", crack=3)
    inside = bolt.parent / path
    inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BenchError, match=f"{path} is a link that leaves the folder"):
        find_dataset(bolt.parent)


@pytest.mark.parametrize("path", ["bolt", "bolt/crack", "bolt/crack/image", "bolt/crack/mask"])
def test_a_link_that_leaves_what_was_made_elsewhere_is_refused_at_any_level(tmp_path, mask, path):
    root = write_generated(tmp_path / "made", mask)
    (root / path).rename(tmp_path / "elsewhere")
    (root / path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BenchError, match=f"{path} is a link that leaves the folder"):
        scan_generated(root, {"bolt": ("crack",)})


def test_links_of_a_hubs_snapshot_lead_to_its_files(tmp_path, bolt):
    repository = tmp_path / "hub" / "datasets--org--set"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / "abc"
    snapshot.parent.mkdir()
    bolt.parent.rename(snapshot)
    for number, path in enumerate(sorted(snapshot.rglob("*.png"))):
        blob = repository / "blobs" / str(number)
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))
    assert check_dataset(find_dataset(snapshot)).problems == ()
    secret = tmp_path / "hub" / "secret.png"
    Image.new("RGB", (24, 16)).save(secret)
    path = snapshot / "bolt" / "test" / "crack" / "009.png"
    path.symlink_to(secret)
    with pytest.raises(BenchError, match=r"009\.png is a link that leaves the folder"):
        find_dataset(snapshot)


@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
@pytest.mark.parametrize(
    "path", ["test/crack/000.png", "ground_truth/crack/000_mask.png", "train/good/000.png"]
)
def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(bolt, kind, path, monkeypatch):
    (bolt / path).unlink()
    monkeypatch.chdir((bolt / path).parent)  # the name of a socket has at most 107 bytes
    if kind == "a pipe":
        os.mkfifo((bolt / path).name)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind((bolt / path).name)
    with pytest.raises(BenchError, match=f"{path} is {kind}, not a regular file"):
        find_dataset(bolt.parent)


def test_a_data_set_whose_own_name_is_no_utf8_is_refused(bolt):
    root = bolt.parent.rename(bolt.parent.with_name(os.fsdecode(b"data\xff")))
    with pytest.raises(BenchError, match=r"data\\xff is not UTF-8; rename it"):
        find_dataset(root)


@pytest.mark.parametrize("name", ["000_MASK.PNG", "000_Mask.bmp", "000.PNG", "000_mask.TIF"])
def test_a_mask_is_found_by_any_case_of_its_ending(bolt, mask, name):
    (bolt / "ground_truth/crack/000_mask.png").unlink()
    mask().save(bolt / "ground_truth/crack" / name)
    assert check_dataset(find_dataset(bolt)).problems == ()


@pytest.mark.parametrize(
    "name", ["000.png", "000_mask.bmp", "000_mask_2.png", "000_mask1.png", "000_1_mask.png"]
)
def test_a_second_mask_of_an_image_is_an_error_and_no_lone_mask(bolt, mask, name):
    mask().save(bolt / "ground_truth/crack" / name)
    (problem,) = check_dataset(find_dataset(bolt)).errors
    assert problem.kind == "second-mask"
    assert "is a further file for test/crack/000.png" in problem.message


def test_a_folder_of_masks_of_one_image_is_an_error(bolt, mask):
    (bolt / "ground_truth/crack/000").mkdir()
    mask().save(bolt / "ground_truth/crack/000/000.png")
    assert [p.kind for p in check_dataset(find_dataset(bolt)).errors] == ["second-mask"]


def test_a_second_mask_of_a_generated_image_is_refused(tmp_path, mask):
    root = write_generated(tmp_path / "made", mask)
    mask().save(root / "bolt/crack/mask/0_mask.png")
    with pytest.raises(BenchError, match=r"0_mask\.png is a further mask of 0\.png|0\.png is a further mask"):
        scan_generated(root, {"bolt": ("crack",)})


def test_masks_of_normal_images_and_loose_files_are_told(bolt, mask):
    (bolt / "ground_truth/good").mkdir()
    mask().save(bolt / "ground_truth/good/000_mask.png")
    Image.new("L", (24, 16)).save(bolt / "ground_truth/good/001_mask.png")
    mask().save(bolt / "ground_truth/000_mask.png")
    problems = check_dataset(find_dataset(bolt)).problems
    assert [(p.kind, p.path) for p in problems] == [
        ("stray-file", "ground_truth/000_mask.png"),
        ("normal-mask", "ground_truth/good/000_mask.png"),
    ]
    assert "marks 36 pixels" in problems[1].message


def test_images_in_grey_among_images_in_colour_are_told(bolt):
    path = bolt / "test/crack/000.png"
    Image.open(path).convert("L").save(path)
    (problem,) = check_dataset(find_dataset(bolt)).problems
    assert (problem.kind, problem.path) == ("mixed-colours", "test/crack/000.png")
    assert "one of 1 images in grey among 11 in colour" in problem.message


def test_generated_sets_whose_masks_are_all_empty_are_refused(tmp_path):
    root = write_generated(tmp_path / "made", lambda: Image.new("L", (24, 16)))
    with pytest.raises(BenchError, match=r"all 2 masks are empty, bolt/crack/mask/0\.png first"):
        scan_generated(root, {"bolt": ("crack",)})


def test_categories_that_the_data_lacks_are_left_out_by_name_unless_they_may_be_misspelt(tmp_path, mask):
    root = write_generated(tmp_path / "made", mask)
    (root / "screw" / "cut" / "image").mkdir(parents=True)
    scan = scan_generated(root, {"bolt": ("crack",), "nut": ("cut",)})
    assert (len(scan.items), scan.left_out) == (2, ("screw/",))
    with pytest.raises(BenchError, match="screw/ is not a category of the data set"):
        scan_generated(root, {"bolt": ("crack",), "screws": ("cut",)})


def test_what_files_of_a_generated_set_say_is_warned_of(tmp_path, mask):
    root = write_generated(tmp_path / "made", mask)
    values = np.zeros((16, 24), np.uint8)
    values[2:6, 2:6], values[8:12, 8:12] = 100, 255
    Image.fromarray(values).save(root / "bolt/crack/mask/1.png")
    (warning,) = scan_generated(root, {"bolt": ("crack",)}).warnings
    assert (warning.kind, warning.path) == ("mask-classes", "bolt/crack/mask/1.png")
    assert "16 of 32 pixels that are not 0 are not" in warning.message
