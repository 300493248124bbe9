import json
import os
import shutil
import time
from pathlib import Path

import pytest

from bench.data.fingerprint import Digests, category_fingerprint, dataset_fingerprint, part_digest
from bench.data.layout import find_dataset
from bench.errors import BenchError


@pytest.fixture
def root(tmp_path, write_category):
    write_category(tmp_path / "data" / "bolt", crack=4)
    write_category(tmp_path / "data" / "nut", first=50, dent=3)
    return tmp_path / "data"


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled, as they do minutes after a download; no test can set the time of a change."""
    monkeypatch.setattr("bench.data.fingerprint._SETTLED_NS", -1)


def test_a_copy_under_another_name_keeps_the_fingerprint(root):
    before = dataset_fingerprint(find_dataset(root))
    shutil.move(root, root.with_name("elsewhere"))
    assert dataset_fingerprint(find_dataset(root.with_name("elsewhere"))) == before


def test_renamed_files_in_the_same_order_keep_the_fingerprint(root):
    before = dataset_fingerprint(find_dataset(root))
    for path in (root / "bolt" / "train" / "good").iterdir():
        path.rename(path.with_name(f"photo {path.name}"))
    assert dataset_fingerprint(find_dataset(root)) == before


@pytest.mark.parametrize(
    "part", ["train/good/000.png", "test/good/001.png", "ground_truth/crack/002_mask.png"]
)
def test_one_added_byte_in_any_file_changes_it(root, part):
    before = dataset_fingerprint(find_dataset(root))
    with (root / "bolt" / part).open("ab") as file:
        file.write(b"\0")
    assert dataset_fingerprint(find_dataset(root)) != before


def test_another_name_of_a_type_or_category_changes_it(root):
    before = dataset_fingerprint(find_dataset(root))
    (root / "bolt").rename(root / "screw")
    renamed = dataset_fingerprint(find_dataset(root))
    for side in ("test", "ground_truth"):
        (root / "screw" / side / "crack").rename(root / "screw" / side / "rust")
    assert len({before, renamed, dataset_fingerprint(find_dataset(root))}) == 3


def test_order_and_role_count(root):
    category = find_dataset(root).category("bolt")
    items = category.defects["crack"]
    assert part_digest(items) != part_digest(items[::-1])
    before = category_fingerprint(category)
    for name in ("000.png", "001.png"):
        source, target = root / "bolt/train/good" / name, root / "bolt/test/good" / name
        content = source.read_bytes()
        source.write_bytes(target.read_bytes())
        target.write_bytes(content)
    assert category_fingerprint(find_dataset(root).category("bolt")) != before


def test_stray_files_do_not_count(root):
    before = dataset_fingerprint(find_dataset(root))
    (root / "bolt" / "test" / "crack" / "notes.txt").write_text("x")
    assert dataset_fingerprint(find_dataset(root)) == before


def test_a_second_time_reads_no_file_that_has_not_changed(root, tmp_path, settled, monkeypatch):
    cache = tmp_path / "cache" / "digests.json"
    first = dataset_fingerprint(find_dataset(root), Digests(cache))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read again"))
        assert dataset_fingerprint(find_dataset(root), Digests(cache)) == first


def test_a_file_whose_time_of_change_was_set_back_is_read_again(root, tmp_path, settled):
    cache = tmp_path / "cache" / "digests.json"
    first = dataset_fingerprint(find_dataset(root), Digests(cache))
    path = root / "bolt" / "train" / "good" / "000.png"
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert dataset_fingerprint(find_dataset(root), Digests(cache)) != first


def test_a_file_that_may_still_change_is_not_remembered(root, tmp_path):
    path = root / "bolt" / "train" / "good" / "000.png"
    now = time.time_ns()
    os.utime(path, ns=(now, now))
    cache = tmp_path / "digests.json"
    dataset_fingerprint(find_dataset(root), Digests(cache))
    assert not cache.exists() or not any(str(path) in key for key in json.loads(cache.read_text()))


def test_two_processes_that_save_keep_what_both_learnt(root, tmp_path, settled):
    cache = tmp_path / "digests.json"
    one, two = Digests(cache), Digests(cache)
    dataset = find_dataset(root)
    part_digest(dataset.category("bolt").train_good, one)
    part_digest(dataset.category("nut").train_good, two)
    one.save()
    two.save()
    assert len(json.loads(cache.read_text())) == 6


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff"])
def test_a_damaged_cache_is_no_obstacle(root, tmp_path, content):
    cache = tmp_path / "digests.json"
    cache.write_text(content, encoding="latin-1")
    dataset = find_dataset(root)
    assert dataset_fingerprint(dataset, Digests(cache)) == dataset_fingerprint(dataset)


def test_a_file_that_disappears_is_named(root):
    dataset = find_dataset(root)
    (root / "bolt" / "train" / "good" / "000.png").unlink()
    with pytest.raises(BenchError, match=r"cannot read .*000\.png"):
        dataset_fingerprint(dataset)
