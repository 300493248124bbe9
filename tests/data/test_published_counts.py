import pytest

from bench.data.layout import find_dataset
from bench.data.published_counts import claims, difference, load_counts, totals
from bench.data.split import make_split


@pytest.fixture
def published(mvtec_table):
    return load_counts(mvtec_table)


@pytest.fixture
def mvtec(tmp_path, published, write_empty_files):
    """MVTec AD by its file names: the files are empty."""

    def write(*categories):
        for name in categories or published:
            counts = published[name]
            write_empty_files(tmp_path / name, counts.train_good, counts.test_good, dict(counts.defects))
        return tmp_path

    return write


def test_the_published_table_sums_to_the_known_totals(published):
    assert len(published) == 15
    assert totals(published) == {
        "types": 73,
        "train_good": 3629,
        "test_good": 467,
        "defects": 1258,
        "base": 393,
        "test_defects": 865,
        "test": 1332,
    }


def test_first_third_of_mvtec_ad_has_the_published_sizes(mvtec):
    dataset = find_dataset(mvtec())
    counts = make_split(dataset).counts()
    assert (counts.types, counts.base, counts.test_defects) == (73, 393, 865)
    assert (counts.test_good, counts.test) == (467, 1332)


def test_mvtec_ad_claims_to_be_it_and_does_not_differ(mvtec, published):
    dataset = find_dataset(mvtec())
    assert claims(dataset, published)
    assert difference(dataset, published) == []


def test_some_whole_categories_of_it_do_not_differ(mvtec, published):
    dataset = find_dataset(mvtec("bottle", "wood"))
    assert claims(dataset, published)
    assert difference(dataset, published) == []


def test_missing_images_and_types_are_told(mvtec, published):
    root = mvtec("bottle", "grid")
    (root / "bottle" / "test" / "contamination" / "004.png").unlink()
    (root / "bottle" / "train" / "good" / "300.png").touch()
    for path in (root / "grid" / "test" / "glue").iterdir():
        path.unlink()
    (root / "grid" / "test" / "oil").mkdir()
    (root / "grid" / "test" / "oil" / "000.png").touch()
    dataset = find_dataset(root)
    assert claims(dataset, published)
    assert difference(dataset, published) == [
        "bottle/train/good: 210 images, published 209",
        "bottle/test/contamination: 20 images, published 21",
        "grid/test/glue: 0 images, published 11",
        "grid/test/oil: 1 images, published 0",
    ]


def test_a_users_own_screw_is_not_mvtec_ad(tmp_path, published, write_empty_files):
    write_empty_files(tmp_path / "screw", 20, 5, {"rust": 6, "bent": 6})
    assert not claims(find_dataset(tmp_path), published)


def test_other_categories_are_not_mvtec_ad(mtd, published):
    assert not claims(mtd, published)
    assert difference(mtd, published) == ["magnetic_tile: not a published category"]


def test_a_table_that_contradicts_itself_is_refused(mvtec_table):
    with pytest.raises(ValueError, match="totals"):
        load_counts(mvtec_table.replace("train_good = 209", "train_good = 208"))
    with pytest.raises(ValueError, match="bottle/broken_large"):
        load_counts(mvtec_table.replace("images = 20, base = 6", "images = 20, base = 7", 1))
