from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.ingestion.generated import generated_samples, scan_generated

CATEGORIES = {"tile": ("crack", "hole"), "cloth": ("cut",)}
SIDE = 20


def save_image(path: Path, size: tuple[int, int] = (SIDE, SIDE), level: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def save_mask(path: Path, size: tuple[int, int] = (SIDE, SIDE), marked: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size, 0)
    if marked:
        mask.paste(255, (2, 3, 10, 9))
    mask.save(path)


def save_pair(folder: Path, stem: str, suffix: str = "png") -> None:
    save_image(folder / "image" / f"{stem}.{suffix}")
    save_mask(folder / "mask" / f"{stem}.{suffix}")


def names(root: Path, categories: dict[str, tuple[str, ...]] = CATEGORIES) -> list[tuple[str, str, str, str]]:
    return [
        (i.category, i.defect, i.image.relative_to(root).as_posix(), i.mask.name if i.mask else "")
        for i in scan_generated(root, categories).items
    ]


def test_image_and_mask_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for stem in ("10", "2", "0"):
        save_pair(tmp_path / "tile" / "crack", stem, "jpg")
    save_pair(tmp_path / "cloth" / "cut", "0")
    assert names(tmp_path) == [
        ("tile", "crack", "tile/crack/image/0.jpg", "0.jpg"),
        ("tile", "crack", "tile/crack/image/2.jpg", "2.jpg"),
        ("tile", "crack", "tile/crack/image/10.jpg", "10.jpg"),
        ("cloth", "cut", "cloth/cut/image/0.png", "0.png"),
    ]


def test_mvtec_layout_is_read_with_generated_normals(tmp_path: Path) -> None:
    save_image(tmp_path / "tile/test/hole/000.png")
    save_mask(tmp_path / "tile/ground_truth/hole/000_mask.png")
    save_image(tmp_path / "tile/train/good/000.png")
    assert names(tmp_path) == [
        ("tile", "good", "tile/train/good/000.png", ""),
        ("tile", "hole", "tile/test/hole/000.png", "000_mask.png"),
    ]


def test_with_one_category_its_folder_may_be_left_out(tmp_path: Path) -> None:
    save_pair(tmp_path / "crack", "0")
    assert names(tmp_path, {"tile": ("crack",)}) == [("tile", "crack", "crack/image/0.png", "0.png")]


def test_normal_images_and_untyped_anomalies_are_taken(tmp_path: Path) -> None:
    save_image(tmp_path / "tile/good/0.png")
    save_pair(tmp_path / "tile/any", "0")
    assert [found[:2] for found in names(tmp_path)] == [("tile", "any"), ("tile", "good")]


def test_samples_are_decoded_at_their_own_size(tmp_path: Path) -> None:
    save_image(tmp_path / "tile/crack/image/0.png", (30, 20), level=77)
    save_mask(tmp_path / "tile/crack/mask/0.png", (30, 20))
    (sample,) = generated_samples(scan_generated(tmp_path, CATEGORIES).items)
    assert sample.image.shape == (20, 30, 3)
    assert (sample.image == 77).all()
    assert sample.mask is not None
    assert np.argwhere(sample.mask).min(axis=0).tolist() == [3, 2]
    assert sample.mask.sum() == 8 * 6


def test_anomalies_with_an_empty_mask_are_left_out_and_named(tmp_path: Path) -> None:
    save_pair(tmp_path / "tile/crack", "0")
    save_image(tmp_path / "tile/crack/image/1.png")
    save_mask(tmp_path / "tile/crack/mask/1.png", marked=False)
    scan = scan_generated(tmp_path, CATEGORIES)
    assert [item.image.name for item in scan.items] == ["0.png"]
    assert [item.image.name for item in scan.empty] == ["1.png"]


def plant_unknown_category(root: Path) -> None:
    save_pair(root / "tyle/crack", "0")


def plant_unknown_defect(root: Path) -> None:
    save_pair(root / "tile/krack", "0")


def plant_missing_mask(root: Path) -> None:
    save_image(root / "tile/crack/image/7.png")


def plant_mask_of_another_size(root: Path) -> None:
    save_image(root / "tile/crack/image/7.png")
    save_mask(root / "tile/crack/mask/7.png", (10, 10))


def plant_truncated_image(root: Path) -> None:
    save_pair(root / "tile/crack", "7")
    image = root / "tile/crack/image/7.png"
    image.write_bytes(image.read_bytes()[:60])


def plant_text_as_image(root: Path) -> None:
    save_pair(root / "tile/crack", "7")
    (root / "tile/crack/image/7.png").write_text("<html>")


def plant_bomb(root: Path) -> None:
    save_mask(root / "tile/crack/mask/7.png")
    bomb = root / "tile/crack/image/7.png"
    bomb.parent.mkdir(parents=True, exist_ok=True)
    Image.new("1", (16_000, 16_000)).save(bomb)


def plant_equal_stems(root: Path) -> None:
    save_pair(root / "tile/crack", "7")
    save_image(root / "tile/crack/image/7.jpg")


def plant_link_out_of_the_folder(root: Path) -> None:
    save_pair(root / "tile/crack", "7")
    save_image(root.parent / "secret.png")
    (root / "tile/crack/image/8.png").symlink_to(root.parent / "secret.png")


def plant_link_to_nothing(root: Path) -> None:
    save_pair(root / "tile/crack", "7")
    (root / "tile/crack/image/8.png").symlink_to(root / "nowhere.png")


def plant_no_image_folder(root: Path) -> None:
    save_image(root / "tile/crack/0.png")


def plant_nothing(root: Path) -> None:
    root.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (plant_unknown_category, r"tyle/ is not a category of the data set \(tile, cloth\)"),
        (plant_unknown_defect, r"tile/krack/ is not a defect of 'tile' \(crack, hole\)"),
        (plant_missing_mask, r"tile/crack/image/7\.png has no mask in tile/crack/mask/"),
        (plant_mask_of_another_size, r"differ in size \(20 x 20 and 10 x 10 pixels\)"),
        (plant_truncated_image, r"7\.png cannot be decoded"),
        (plant_text_as_image, r"7\.png is not an image"),
        (plant_bomb, "million pixels"),
        (plant_equal_stems, "have one stem"),
        (plant_link_out_of_the_folder, r"8\.png is a link that leaves the folder"),
        (plant_link_to_nothing, r"8\.png is a link to nothing"),
        (plant_no_image_folder, "tile/crack/ has no folder image"),
        (plant_nothing, "no images in it"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, plant, says: str) -> None:
    plant(tmp_path / "made")
    with pytest.raises(BenchError, match=says):
        scan_generated(tmp_path / "made", CATEGORIES)


def test_all_faults_are_told_at_once_and_many_are_counted(tmp_path: Path) -> None:
    for number in range(12):
        save_image(tmp_path / f"tile/crack/image/{number}.png")
    plant_unknown_defect(tmp_path)
    with pytest.raises(BenchError, match="has 13 problems") as error:
        scan_generated(tmp_path, CATEGORIES)
    assert "and 5 more" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_link_that_stays_in_the_folder_is_followed(tmp_path: Path) -> None:
    save_pair(tmp_path / "tile/crack", "0")
    (tmp_path / "tile/hole").symlink_to(tmp_path / "tile/crack")
    assert [found[1] for found in names(tmp_path)] == ["crack", "hole"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="nowhere is not a folder"):
        scan_generated(tmp_path / "nowhere", CATEGORIES)


def test_masks_of_which_nothing_is_left_at_the_resolution_of_the_run_are_warned_of(tmp_path: Path) -> None:
    for stem in ("0", "1"):
        save_image(tmp_path / "tile" / "crack" / "image" / f"{stem}.png", (640, 640))
    mask = Image.new("L", (640, 640), 0)
    (tmp_path / "tile" / "crack" / "mask").mkdir()
    whole = Image.new("L", (640, 640), 0)
    whole.paste(255, (0, 0, 320, 640))
    whole.save(tmp_path / "tile" / "crack" / "mask" / "1.png")
    mask.paste(255, (3, 0, 4, 640))  # one pixel wide
    mask.save(tmp_path / "tile" / "crack" / "mask" / "0.png")
    assert scan_generated(tmp_path, CATEGORIES).warnings == ()
    (warning,) = scan_generated(tmp_path, CATEGORIES, resolution=64).warnings
    assert (warning.kind, warning.category, warning.path) == ("vanishing-mask", "tile", "tile/crack/mask")
    assert "has 1 of 2 crack masks of which nothing is left at 64x64 (the first: 0.png)" in warning.message
    assert "keeps them all" in warning.message
