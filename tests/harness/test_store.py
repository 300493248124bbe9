import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli.verify import verify_command
from bench.errors import BenchError
from bench.store import Manifest, Store, open_store
from bench.store.integrity import damage
from bench.store.store import file_sha256, write_atomically
from bench.tasks import Task

Publish = Callable[..., Manifest]
POOL = Task("data.cache", 1, {"category": "washer"})
MODEL = Task("generator.fit", 1, {"rate": 0.5}, (("base/washer", POOL),), "mine@1")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def filled(store: Store, publish: Publish) -> Store:
    """A store with a pool of two files and the model that was made from it."""
    publish(store, POOL, {"images.npy": "pixels", "deep/index.json": "[]"})
    publish(store, MODEL, {"model.pt": "weights"}, seconds=1.5, run="first")
    return store


def test_a_published_task_is_done_and_its_folder_aside_is_gone(store: Store, publish: Publish) -> None:
    assert not store.done(POOL.key)
    publish(store, POOL, {"images.npy": "pixels"})
    assert store.done(POOL.key)
    assert (store.out(POOL.key) / "images.npy").read_text() == "pixels"
    assert list((store.root / "tmp").iterdir()) == []
    assert list(store.keys()) == [POOL.key]
    assert store.definition(POOL.key) == json.loads(json.dumps(POOL.definition))


def test_a_manifest_names_files_inputs_and_cost(filled: Store) -> None:
    manifest = filled.manifest(MODEL.key)
    file = filled.out(MODEL.key) / "model.pt"
    assert manifest.files == {"model.pt": {"sha256": file_sha256(file), "size": 7}}
    assert manifest.inputs == {POOL.key: filled.manifest(POOL.key).content}
    assert (manifest.seconds, manifest.run) == (1.5, "first")
    assert set(filled.manifest(POOL.key).files) == {"images.npy", "deep/index.json"}


def test_equal_bytes_have_equal_content_whatever_the_run(
    filled: Store, tmp_path: Path, publish: Publish
) -> None:
    other = open_store(tmp_path / "other", create=True)
    publish(other, POOL, {"deep/index.json": "[]", "images.npy": "pixels"}, run="second", seconds=9.0)
    publish(other, MODEL, {"model.pt": "weights"})
    assert other.manifest(MODEL.key).content == filled.manifest(MODEL.key).content


def test_other_bytes_of_an_input_are_other_content(filled: Store, tmp_path: Path, publish: Publish) -> None:
    other = open_store(tmp_path / "other", create=True)
    publish(other, POOL, {"images.npy": "Pixels", "deep/index.json": "[]"})
    publish(other, MODEL, {"model.pt": "weights"})
    assert other.manifest(MODEL.key).files == filled.manifest(MODEL.key).files
    assert other.manifest(MODEL.key).content != filled.manifest(MODEL.key).content


def test_the_first_publisher_wins(store: Store, publish: Publish) -> None:
    first = publish(store, POOL, {"made": "by the first"}, run="first")
    second = publish(store, POOL, {"made": "by the second"}, run="second")
    assert second == first
    assert (store.out(POOL.key) / "made").read_text() == "by the first"
    assert list((store.root / "tmp").iterdir()) == []


def test_a_task_is_not_published_before_its_inputs(store: Store, publish: Publish) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        publish(store, MODEL)
    assert not store.done(MODEL.key)


def test_a_task_whose_manifest_was_deleted_is_not_done_and_can_be_published(
    store: Store, publish: Publish
) -> None:
    publish(store, POOL, {"made": "once"})
    (store.folder(POOL.key) / "manifest.json").unlink()
    assert not store.done(POOL.key)
    publish(store, POOL, {"made": "again"})
    assert damage(store, POOL.key) == ""
    assert (store.out(POOL.key) / "made").read_text() == "again"


def test_what_a_file_system_or_a_copy_adds_or_leaves_out_changes_nothing(filled: Store) -> None:
    tasks = filled.root / "tasks"
    shard = tasks / POOL.key[:2]
    (tasks / ".DS_Store").touch()
    (shard / ".nfs0001").touch()
    (shard / "Thumbs.db").mkdir()
    for name in ("leases", "tmp", "scratch", "failures"):  # git and S3 have no empty folders
        (filled.root / name).rmdir()
    opened = open_store(filled.root)
    assert set(opened.keys()) == {POOL.key, MODEL.key}
    assert verify_command(filled.root, recompute=False, remove=False) == 0
    with opened.writing(MODEL.key):
        assert (filled.root / "tmp").is_dir()


def test_a_freshly_mounted_disk_can_be_a_store(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert list(open_store(tmp_path, create=True).keys()) == []


def test_a_store_whose_path_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is not UTF-8"):
        open_store(tmp_path / os.fsdecode(b"st\xffore"), create=True)


def test_a_damaged_task_is_set_aside_whole(filled: Store) -> None:
    aside = filled.set_aside(POOL.key)
    assert aside is not None
    assert (aside / "out" / "deep" / "index.json").read_text() == "[]"
    assert not filled.done(POOL.key)
    assert filled.set_aside(POOL.key) is None


@pytest.mark.parametrize("text", ["", "[]", '{"stage": 1}', "[" * 100_000, '{"key": 1e999}'])
def test_a_definition_that_is_not_that_of_its_key_names_its_file(filled: Store, text: str) -> None:
    (filled.folder(POOL.key) / "task.json").write_text(text)
    with pytest.raises(BenchError, match=rf"{POOL.key}/task.json is damaged"):
        filled.definition(POOL.key)


def test_of_two_that_make_a_dropped_task_again_the_first_wins(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, POOL, {"images.npy": "pixels"})
    store.drop(POOL.key)
    remove = store.remove

    def another_comes_between(key: str) -> None:
        remove(key)
        monkeypatch.setattr(store, "remove", remove)
        publish(store, POOL, {"made": "by the other"})

    monkeypatch.setattr(store, "remove", another_comes_between)
    publish(store, POOL, {"made": "too late"})
    assert (store.out(POOL.key) / "made").read_text() == "by the other"
    assert damage(store, POOL.key) == ""


def test_failures_that_another_driver_clears_meanwhile_are_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a" * 32, "b" * 32):
        store.record_failure(key, {"error": "no convergence"})
    listed = sorted((store.root / "failures").glob("*.json"))
    store.clear_failure("a" * 32)
    monkeypatch.setattr(Path, "glob", lambda path, pattern: listed)
    assert list(store.failures()) == ["b" * 32]


def half_written(store: Store) -> Path:
    """What a worker has written before it publishes."""
    aside = store.root / "tmp" / f"{POOL.key}.0"
    (aside / "out" / "deep").mkdir(parents=True)
    (aside / "out" / "deep" / "images.npy").write_text("pixels")
    (aside / "out" / "index.json").write_text("[]")
    return aside


def steps_of_publishing(store: Store, monkeypatch: pytest.MonkeyPatch, stop: int | None = None) -> int:
    """Publish, and die at the step `stop` (an fsync or a rename); returns how many steps there are."""
    steps = 0
    fsync, rename = os.fsync, Path.rename

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps - 1 == stop:
            raise Killed

    def counted_fsync(handle: int) -> None:
        step()
        fsync(handle)

    def counted_rename(path: Path, target: Path) -> Path:
        step()
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted_fsync)
        patched.setattr(Path, "rename", counted_rename)
        store.publish(half_written(store), POOL.definition)
    return steps


def test_a_publish_that_is_killed_at_any_step_leaves_the_task_undone_or_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_of_publishing(open_store(tmp_path / "whole", create=True), monkeypatch)
    assert steps >= 8  # four files, three folders, the rename
    undone = 0
    for stop in range(steps):
        store = open_store(tmp_path / str(stop), create=True)
        with pytest.raises(Killed):
            steps_of_publishing(store, monkeypatch, stop)
        undone += not store.done(POOL.key)
        assert not store.done(POOL.key) or damage(store, POOL.key) == ""
        store.sweep(lambda key: False)
        assert list((store.root / "tmp").iterdir()) == []
        store.publish(half_written(store), POOL.definition)
        assert damage(store, POOL.key) == ""
    assert undone == steps - 1  # the rename is the last step but the fsync of where it renamed to


def test_sweeping_keeps_what_a_live_driver_is_making(store: Store) -> None:
    half_written(store)
    (store.root / "tmp" / "probe.0123").write_text("")
    store.sweep(lambda key: key == POOL.key)
    assert [path.name for path in (store.root / "tmp").iterdir()] == [f"{POOL.key}.0"]


def test_sweeping_keeps_the_scratch_of_what_is_not_done_yet(store: Store, publish: Publish) -> None:
    publish(store, POOL)
    for task in (POOL, MODEL):
        store.scratch(task.key).mkdir()
    store.sweep(lambda key: False)
    assert [path.name for path in (store.root / "scratch").iterdir()] == [MODEL.key]


def test_who_still_writes_into_a_swept_folder_cannot_publish_what_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = half_written(store)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path, **how: (path / "out" / "index.json").unlink())
        store.sweep(lambda key: False)
    with pytest.raises(OSError, match="No such file"):
        store.publish(aside, POOL.definition)
    assert not store.done(POOL.key)


def test_a_removed_task_is_gone_at_once(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, **how: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            filled.remove(MODEL.key)
    assert not filled.folder(MODEL.key).exists()
    filled.sweep(lambda key: False)
    assert list((filled.root / "tmp").iterdir()) == []


def test_a_failure_is_kept_until_the_task_is_done(store: Store, publish: Publish) -> None:
    assert store.failure(POOL.key) is None
    store.record_failure(POOL.key, {"error": "no convergence"})
    assert store.failure(POOL.key) == {"error": "no convergence"}
    assert not store.done(POOL.key)
    publish(store, POOL)
    assert store.failure(POOL.key) is None


def test_the_scratch_of_a_task_goes_when_it_is_done(store: Store, publish: Publish) -> None:
    store.scratch(POOL.key).mkdir()
    (store.scratch(POOL.key) / "checkpoint.pt").write_text("half")
    publish(store, POOL)
    assert not store.scratch(POOL.key).exists()


def test_a_store_of_a_newer_format_is_refused(store: Store) -> None:
    (store.root / "store.json").write_text('{"format": 2, "uuid": "x"}')
    with pytest.raises(BenchError, match="format 2, this version reads format 1; update defectbench"):
        open_store(store.root)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"uuid": "x"}'])
def test_a_store_whose_marker_cannot_be_read_is_refused(store: Store, text: str) -> None:
    (store.root / "store.json").write_text(text)
    with pytest.raises(BenchError):
        open_store(store.root)


def test_a_folder_that_is_no_store_is_neither_opened_nor_filled(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")
    for create in (False, True):
        with pytest.raises(BenchError, match="store"):
            open_store(tmp_path, create=create)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_store_that_was_killed_while_it_was_made_is_made(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    assert open_store(tmp_path, create=True).root == tmp_path
    assert list(open_store(tmp_path).keys()) == []


def test_a_small_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, "old")
    with monkeypatch.context() as patched:

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]
    write_atomically(path, "new")
    assert path.read_text() == "new"


def truncate(store: Store) -> None:
    path = store.out(MODEL.key) / "model.pt"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(store: Store) -> None:
    path = store.out(MODEL.key) / "model.pt"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def lose_a_file(store: Store) -> None:
    (store.out(MODEL.key) / "model.pt").unlink()


def add_a_file(store: Store) -> None:
    (store.out(MODEL.key) / "more.pt").write_text("")


def edit_manifest(store: Store) -> None:
    manifest = json.loads((store.folder(MODEL.key) / "manifest.json").read_text())
    manifest["files"]["model.pt"]["size"] = 8
    (store.folder(MODEL.key) / "manifest.json").write_text(json.dumps(manifest))


def break_manifest(store: Store) -> None:
    (store.folder(MODEL.key) / "manifest.json").write_text("{}")


def lose_manifest(store: Store) -> None:
    (store.folder(MODEL.key) / "manifest.json").unlink()


def edit_definition(store: Store) -> None:
    definition = {**MODEL.definition, "seed": 1}
    (store.folder(MODEL.key) / "task.json").write_text(json.dumps(definition))


FAULTS = {
    truncate: "model.pt was changed",
    flip_a_bit: "model.pt was changed",
    lose_a_file: "model.pt is missing",
    add_a_file: "more.pt was added",
    edit_manifest: "its manifest was changed",
    break_manifest: "cannot be read",
    lose_manifest: "cannot be read",
    edit_definition: "not that of its key",
}


@pytest.mark.parametrize(("plant", "told"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_verify_finds_removes_and_lets_publish_again(
    filled: Store,
    publish: Publish,
    plant: Callable[[Store], None],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verify_command(filled.root, recompute=False, remove=False) == 0
    plant(filled)
    assert told in damage(filled, MODEL.key)
    assert damage(filled, POOL.key) == ""
    assert verify_command(filled.root, recompute=False, remove=True) == 1
    assert f"{MODEL.key}: " in capsys.readouterr().out
    assert not filled.folder(MODEL.key).exists()
    publish(filled, MODEL, {"model.pt": "weights"})
    assert verify_command(filled.root, recompute=False, remove=False) == 0


def test_verify_finds_an_input_that_was_made_again_with_other_bytes(filled: Store, publish: Publish) -> None:
    filled.remove(POOL.key)
    publish(filled, POOL, {"images.npy": "Pixels", "deep/index.json": "[]"})
    assert "other content than the one it was made from" in damage(filled, MODEL.key)


def test_an_input_that_is_gone_is_no_damage(filled: Store) -> None:
    filled.remove(POOL.key)
    assert damage(filled, MODEL.key) == ""


def test_an_input_whose_manifest_cannot_be_read_is_damaged_alone(filled: Store) -> None:
    path = filled.folder(POOL.key) / "manifest.json"
    path.write_text(path.read_text().replace('"files"', '"filus"'))
    assert damage(filled, POOL.key) == "its manifest cannot be read"
    assert damage(filled, MODEL.key) == ""


def test_the_manifest_of_another_task_is_found(filled: Store, publish: Publish) -> None:
    other = replace(MODEL, seed=5)
    publish(filled, other, {"model.pt": "weights"})
    shutil.copy(filled.folder(other.key) / "manifest.json", filled.folder(MODEL.key) / "manifest.json")
    assert damage(filled, MODEL.key) == "its manifest is that of another task"
