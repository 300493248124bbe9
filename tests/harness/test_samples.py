import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.pool import open_pool
from bench.data.view import View
from bench.errors import BenchError
from bench.methods import Request, Sample
from bench.methods.samples import extract, read_index, read_samples, samples_to_pool, write_samples

SIDE = 24


def sample(index: int, *, side: int = SIDE, depth: bool = False, base: bool = True) -> Sample:
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), dtype=bool)
    mask[2:8, 3:9] = True
    heights = rng.random((side, side), dtype=np.float32) if depth else None
    return Sample(image, mask, heights, image // 2 if base else None)


def samples(indices: range, **options: bool) -> Iterator[Sample]:
    return (sample(index, **options) for index in indices)


def written(path: Path, indices: range = range(3), defect: str = "scratch", **options: bool) -> Path:
    request = Request("tile", defect, indices)
    write_samples(path, request, samples(indices, **options), generator="mine", resolution=SIDE)
    return path


def test_what_is_written_is_read_back_unchanged(tmp_path: Path) -> None:
    path = written(tmp_path / "set.zip", range(5, 8), depth=True)
    for index, read in zip(range(5, 8), read_samples(path), strict=True):
        for name, value in zip(Sample._fields, sample(index, depth=True), strict=True):
            np.testing.assert_array_equal(getattr(read, name), value)
            assert getattr(read, name).dtype == value.dtype


def test_the_zip_holds_numbered_uncompressed_members_and_an_index(tmp_path: Path) -> None:
    path = written(tmp_path / "set.zip", range(1, 3))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            *("image/001.png", "mask/001.png", "base/001.png"),
            *("image/002.png", "mask/002.png", "base/002.png"),
            "index.json",
        ]
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.read("index.json")) == {
            "category": "tile",
            "defect": "scratch",
            "indices": [1, 2],
            "fields": ["image", "mask", "base"],
            "resolution": SIDE,
        }


def test_equal_samples_give_equal_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "a.zip").read_bytes() == written(tmp_path / "b.zip").read_bytes()


def test_progress_is_told_after_each_sample(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    request = Request("tile", "scratch", range(4, 7))
    write_samples(
        tmp_path / "a.zip",
        request,
        samples(request.indices),
        lambda done, total: told.append((done, total)),
        generator="mine",
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sample(0)._replace(mask=None), "has no mask"),
        (sample(0)._replace(mask=np.zeros((SIDE, SIDE), dtype=bool)), "empty mask"),
        (sample(0)._replace(mask=np.ones((SIDE, SIDE - 1), dtype=bool)), r"has mask bool \[24, 23\]"),
        (sample(0)._replace(mask=np.ones((SIDE, SIDE), dtype=np.uint8)), "has mask uint8"),
        (sample(0)._replace(image=np.ones((SIDE, SIDE), dtype=np.uint8)), "has image uint8"),
        (sample(0)._replace(image=np.ones((SIDE, SIDE, 3))), "has image float64"),
        (sample(0)._replace(image=None), "has image None"),
        (sample(0)._replace(depth=np.full((SIDE, SIDE), np.nan, np.float32)), "not finite"),
        (sample(0, side=16), "16 x 16 pixels; the train split has 24 x 24"),
        (tuple(sample(0)), "is a tuple"),
    ],
)
def test_a_bad_sample_is_refused_by_generator_and_index(tmp_path: Path, bad: Sample, says: str) -> None:
    request = Request("tile", "scratch", range(7, 9))
    with pytest.raises(BenchError, match=says) as error:
        write_samples(tmp_path / "a.zip", request, iter([sample(7), bad]), generator="mine", resolution=SIDE)
    assert "sample 8 of 'mine' for 'tile/scratch'" in str(error.value)


def test_samples_with_and_without_base_do_not_mix(tmp_path: Path) -> None:
    mixed = iter([sample(0), sample(1, base=False)])
    with pytest.raises(BenchError, match=r"sample 1 of 'mine' .* holds image, mask, but those before it"):
        write_samples(tmp_path / "a.zip", Request("tile", "scratch", range(2)), mixed, generator="mine")


@pytest.mark.parametrize(("count", "says"), [(1, "gave 1 samples"), (3, "gave more than the 2")])
def test_the_number_of_samples_must_be_what_was_asked_for(tmp_path: Path, count: int, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        write_samples(
            tmp_path / "a.zip", Request("tile", "scratch", range(2)), samples(range(count)), generator="mine"
        )


def test_normal_images_need_no_mask_and_may_not_have_one_that_marks_something(tmp_path: Path) -> None:
    request = Request("tile", "good", range(1))
    write_samples(tmp_path / "a.zip", request, iter([sample(0)._replace(mask=None)]), generator="mine")
    assert next(read_samples(tmp_path / "a.zip")).mask is None
    with pytest.raises(BenchError, match="normal image, but has a mask"):
        write_samples(tmp_path / "b.zip", request, iter([sample(0)]), generator="mine")


def test_extract_writes_mvtec_layout(tmp_path: Path) -> None:
    anomalous = written(tmp_path / "a.zip", range(2))
    normal = tmp_path / "n.zip"
    write_samples(
        normal, Request("tile", "good", range(1)), iter([sample(9)._replace(mask=None)]), generator="mine"
    )
    assert extract([anomalous, normal], tmp_path / "out") == 3
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert found == [
        "tile/ground_truth/scratch/000_mask.png",
        "tile/ground_truth/scratch/001_mask.png",
        "tile/test/scratch/000.png",
        "tile/test/scratch/001.png",
        "tile/train/good/000.png",
    ]
    mask = np.asarray(Image.open(tmp_path / "out" / found[0]))
    np.testing.assert_array_equal(mask, sample(0).mask * np.uint8(255))


def test_a_pool_holds_the_sets_in_order(tmp_path: Path) -> None:
    sets = [
        ("scratch", written(tmp_path / "a.zip", range(2))),
        ("dent", written(tmp_path / "b.zip", range(2, 4))),
    ]
    (tmp_path / "pool").mkdir()
    samples_to_pool(sets, tmp_path / "pool", View(SIDE))
    pool = open_pool(tmp_path / "pool")
    assert [(item["defect"], item["stem"]) for item in pool.items] == [
        ("scratch", "000"),
        ("scratch", "001"),
        ("dent", "002"),
        ("dent", "003"),
    ]
    np.testing.assert_array_equal(pool.images[3], sample(3).image)
    np.testing.assert_array_equal(pool.mask(3), sample(3).mask)
    assert pool.base is not None
    np.testing.assert_array_equal(pool.base[1], sample(1).base)


def test_a_pool_of_another_size_is_resized_and_keeps_small_defects(tmp_path: Path) -> None:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[5, 5] = True
    request = Request("tile", "scratch", range(1))
    tiny = sample(0)._replace(mask=mask)
    write_samples(tmp_path / "a.zip", request, iter([tiny]), generator="mine")
    (tmp_path / "pool").mkdir()
    samples_to_pool([("scratch", tmp_path / "a.zip")], tmp_path / "pool", View(SIDE // 2))
    pool = open_pool(tmp_path / "pool")
    assert pool.images.shape == (1, 12, 12, 3)
    assert np.argwhere(pool.mask(0)).tolist() == [[2, 2]]


def test_normal_and_anomalous_sets_share_a_pool(tmp_path: Path) -> None:
    normal = tmp_path / "n.zip"
    write_samples(
        normal, Request("tile", "good", range(1)), iter([sample(9)._replace(mask=None)]), generator="mine"
    )
    (tmp_path / "pool").mkdir()
    samples_to_pool(
        [("good", normal), ("scratch", written(tmp_path / "a.zip", range(1)))], tmp_path / "pool", View(SIDE)
    )
    pool = open_pool(tmp_path / "pool")
    assert not pool.mask(0).any()
    assert pool.mask(1).any()


def test_a_file_that_is_no_sample_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(BenchError, match=r"a\.zip is not a sample set"):
        read_index(tmp_path / "a.zip")


def test_a_pool_takes_the_first_samples_of_each_defect_across_chunks(tmp_path: Path) -> None:
    sets = [
        ("scratch", written(tmp_path / "a.zip", range(2))),
        ("scratch", written(tmp_path / "b.zip", range(2, 4))),
        ("dent", written(tmp_path / "c.zip", range(2), defect="dent")),
    ]
    (tmp_path / "pool").mkdir()
    samples_to_pool(sets, tmp_path / "pool", View(SIDE), {"scratch": 3, "dent": 1})
    pool = open_pool(tmp_path / "pool")
    assert [(item["defect"], item["stem"]) for item in pool.items] == [
        ("scratch", "000"),
        ("scratch", "001"),
        ("scratch", "002"),
        ("dent", "000"),
    ]
