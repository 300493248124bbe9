from pathlib import Path

import pytest

from bench.data.folder import natural_key
from bench.data.layout import find_dataset
from bench.errors import BenchError


def stems(items):
    return [item.stem for item in items]


def test_files_stand_in_natural_order():
    assert sorted(["10", "2", "1a", "1", "002"], key=natural_key) == ["1", "1a", "002", "2", "10"]


def test_a_data_set_is_found_with_its_categories_parts_and_masks(tmp_path, write_category):
    write_category(tmp_path / "bolt", crack=4, dent=3)
    write_category(tmp_path / "nut", dent=2)
    dataset = find_dataset(tmp_path)
    assert [c.name for c in dataset.categories] == ["bolt", "nut"]
    bolt = dataset.category("bolt")
    assert (len(bolt.train_good), len(bolt.test_good)) == (3, 2)
    assert {d: len(items) for d, items in bolt.defects.items()} == {"crack": 4, "dent": 3}
    assert [i.mask_path.name for i in bolt.defects["dent"]] == [
        "000_mask.png",
        "001_mask.png",
        "002_mask.png",
    ]


def test_the_folder_of_one_category_is_a_data_set(tmp_path, write_category):
    write_category(tmp_path / "bolt", crack=4)
    assert [c.name for c in find_dataset(tmp_path / "bolt").categories] == ["bolt"]


def test_a_folder_around_one_data_set_leads_to_it(tmp_path, write_category):
    write_category(tmp_path / "downloads" / "mvtec" / "bolt", crack=4)
    assert find_dataset(tmp_path).name == "mvtec"


def test_two_data_sets_in_one_folder_are_refused_by_their_names(tmp_path, write_category):
    write_category(tmp_path / "one" / "bolt", crack=4)
    write_category(tmp_path / "two" / "bolt", crack=4)
    with pytest.raises(BenchError, match="holds 2 data sets \\('one', 'two'\\)"):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.touch(), "is a file"),
        (lambda p: p.mkdir(), "found nothing"),
        (lambda p: (p / "candle" / "Data").mkdir(parents=True), "MVTec AD layout\\), found candle/"),
    ],
)
def test_what_is_no_data_set_is_refused_with_what_was_found(tmp_path, make, sentence):
    make(tmp_path / "data")
    with pytest.raises(BenchError, match=sentence):
        find_dataset(tmp_path / "data")


def test_an_unknown_category_suggests_the_nearest(tmp_path, write_category):
    write_category(tmp_path / "bolt", crack=4)
    with pytest.raises(BenchError, match="did you mean 'bolt'"):
        find_dataset(tmp_path).category("bolts")


def test_selected_categories_keep_the_order_of_the_data_set(tmp_path, write_category):
    for name in ("a", "b", "c"):
        write_category(tmp_path / name, crack=2)
    assert [c.name for c in find_dataset(tmp_path).select(["c", "a"]).categories] == ["a", "c"]


def test_masks_of_the_same_stem_in_another_format_are_found(tmp_path, write_category, mask):
    folder = write_category(tmp_path / "bolt", crack=2)
    (folder / "ground_truth" / "crack" / "000_mask.png").unlink()
    mask().save(folder / "ground_truth" / "crack" / "000.bmp")
    category = find_dataset(tmp_path).category("bolt")
    assert category.defects["crack"][0].mask_path.name == "000.bmp"
    assert category.lone_masks == ()


def test_suffixes_match_in_any_case_and_names_may_hold_spaces_and_any_letter(
    tmp_path, write_category, photograph
):
    folder = write_category(tmp_path / "große Schraube", crack=2)
    photograph(90).save(folder / "test" / "good" / "Bild 7 – Ö.JPG", format="JPEG")
    category = find_dataset(tmp_path).category("große Schraube")
    assert stems(category.test_good) == ["000", "001", "Bild 7 – Ö"]


def test_a_name_in_another_unicode_form_still_meets_its_mask(tmp_path, write_category, photograph, mask):
    folder = write_category(tmp_path / "bolt", crack=2)
    photograph(91).save(folder / "test" / "crack" / "o\u0308.png")
    mask().save(folder / "ground_truth" / "crack" / "\u00f6_mask.png")
    item = find_dataset(tmp_path).category("bolt").defects["crack"][-1]
    assert item.stem == "\u00f6"
    assert item.mask_path is not None


def test_junk_of_operating_systems_is_passed_over_and_other_files_are_strays(tmp_path, write_category):
    folder = write_category(tmp_path / "bolt", crack=2)
    for name in (".DS_Store", "Thumbs.db", "notes.xlsx"):
        (folder / "test" / "crack" / name).touch()
    (folder / "license.txt").touch()
    assert [p.name for p in find_dataset(tmp_path).category("bolt").strays] == ["notes.xlsx"]


def test_bad_as_the_only_defect_folder_says_no_type(tmp_path, write_category):
    write_category(tmp_path / "a", bad=3)
    write_category(tmp_path / "b", bad=3, crack=3)
    write_category(tmp_path / "toothbrush", defective=3)
    assert [c.has_types for c in find_dataset(tmp_path).categories] == [False, True, True]


def test_the_mvtec_3d_layout_gives_images_depth_and_masks(tmp_path, photograph, mask):
    for part in ("train/good", "test/good", "test/cut", "validation/good"):
        for sub in ("rgb", "xyz", "gt"):
            (tmp_path / "bagel" / part / sub).mkdir(parents=True)
        photograph(1).save(tmp_path / "bagel" / part / "rgb" / "000.png")
        (tmp_path / "bagel" / part / "xyz" / "000.tiff").touch()
        mask().save(tmp_path / "bagel" / part / "gt" / "000.png")
    dataset = find_dataset(tmp_path)
    bagel = dataset.category("bagel")
    assert dataset.layout == "mvtec_3d"
    assert bagel.train_good[0].depth_path == tmp_path / "bagel/train/good/xyz/000.tiff"
    assert bagel.defects["cut"][0].mask_path == tmp_path / "bagel/test/cut/gt/000.png"
    assert bagel.test_good[0].mask_path is None
    assert bagel.strays == ()


def test_the_two_layouts_in_one_folder_are_refused(tmp_path, write_category):
    write_category(tmp_path / "bolt", crack=2)
    (tmp_path / "bagel" / "train" / "good" / "rgb").mkdir(parents=True)
    with pytest.raises(BenchError, match=r"mixes layouts: category 'bolt' .* and 'bagel'"):
        find_dataset(tmp_path)


def test_the_magnetic_tiles_have_their_published_counts(mtd):
    (tile,) = mtd.categories
    assert (len(tile.train_good), len(tile.test_good)) == (381, 95)
    assert {d: len(items) for d, items in tile.defects.items()} == {
        "blowhole": 58,
        "break": 43,
        "crack": 29,
        "fray": 16,
        "uneven": 52,
    }


def test_listing_a_data_set_reads_no_image(tmp_path, write_empty_files):
    write_empty_files(Path(tmp_path) / "bolt", 3, 2, {"crack": 4})
    assert len(find_dataset(tmp_path).category("bolt").items) == 9
