"""Tasks on disk: written aside, synced, then renamed into place. There is no status that can go stale."""

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files import open_at_once
from bench.store.locks import locked
from bench.store.manifest import Manifest, manifest_of
from bench.tasks import KEY_LENGTH, key_of

FORMAT = 1
DROPPED = "dropped.json"
_TEXTS, _SMALL = (".csv", ".json", ".jsonl"), 1 << 20
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
_OF_SYSTEMS = {"lost+found", ".DS_Store", ".Trash-1000", "@eaDir"}
"""What file systems and desktops put into an empty folder."""
_FOLDERS = ("tasks", "env", "tmp", "scratch", "leases", "failures", "runs", "sources")


class Store:
    """A store folder. Open one with `open_store`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: str) -> Path:
        return Path(f"{self.root}/tasks/{key[:2]}/{key}")

    def out(self, key: str) -> Path:
        return self.folder(key) / "out"

    def scratch(self, key: str) -> Path:
        return self.root / "scratch" / key

    def done(self, key: str) -> bool:
        """Whether the task is in the store: its manifest is in its final place."""
        return os.path.exists(f"{self.root}/tasks/{key[:2]}/{key}/manifest.json")  # noqa: PTH110, 10,000 of these

    def dropped(self, key: str) -> bool:
        """Whether the task was done and `drop` took its payload: its costs and small files are left."""
        return not self.done(key) and (self.folder(key) / DROPPED).exists()

    def manifest(self, key: str) -> Manifest:
        """The manifest of a done task, or of one whose payload was dropped."""
        path = self.folder(key) / "manifest.json"
        try:
            try:
                text = read_regular(path)
            except FileNotFoundError:
                path = self.folder(key) / DROPPED
                text = read_regular(path)
            return manifest_of(json.loads(text))
        except (ValueError, RecursionError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise BenchError(
                f"{path} cannot be read ({why}); run `bench verify --store {shlex.quote(str(self.root))}`"
            ) from None

    def definition(self, key: str) -> dict[str, Any]:
        """What a task is. Raises BenchError where that cannot be read, or is not what its key is made of."""
        path = self.folder(key) / "task.json"
        try:
            definition = json.loads(read_regular(path))
            if isinstance(definition, dict) and key_of(definition) == key:
                return definition
            why = "it is not that of its key"
        except (OSError, ValueError, RecursionError) as error:
            why = f"it cannot be read ({error.strerror if isinstance(error, OSError) else error})"
        raise BenchError(
            f"the definition {path} is damaged: {why}; run `bench verify --remove --store "
            f"{shlex.quote(str(self.root))}`"
        )

    def keys(self, *, dropped: bool = False) -> Iterator[str]:
        """The keys of all done tasks, sorted; with `dropped` also of those whose payload is gone."""
        names = ("manifest.json", DROPPED) if dropped else ("manifest.json",)
        for folder in self.task_folders():
            if any((folder / name).exists() for name in names):
                yield folder.name

    @contextmanager
    def planning(self, *, alone: bool = False) -> Iterator[None]:
        """Write a plan into the store, or drop what no plan needs (`alone`): not both at once.

        A run looks for what is missing when its plan is written: what was dropped before is made again, and
        what it finds is by then known to be needed.
        """
        with locked(self.root / "runs" / ".planning", shared=not alone):
            yield

    def task_folders(self) -> Iterator[Path]:
        """The folder of every task, sorted, also of damaged ones; what is not named by a key is left out."""
        for shard in _folders_in(self.root / "tasks"):
            yield from (folder for folder in _folders_in(shard) if _KEY.fullmatch(folder.name))

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A folder aside in which a task is made; it is gone afterwards unless it was published."""
        aside = self.root / "tmp" / f"{key}.{uuid.uuid4().hex[:8]}"
        (aside / "out").mkdir(parents=True)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def publish(self, aside: Path, definition: Mapping[str, Any], **facts: Any) -> Manifest:
        """Move a finished folder into place. Where another was first, theirs stays and is returned."""
        key = key_of(definition)
        files = file_facts(aside / "out")
        inputs = {input_key: self.manifest(input_key).content for _, input_key in definition["inputs"]}
        manifest = Manifest.of(key, files, inputs, host=socket.gethostname(), **facts)
        (aside / "task.json").write_text(json.dumps(definition, sort_keys=True, indent=1))
        (aside / "manifest.json").write_text(json.dumps(asdict(manifest), sort_keys=True, indent=1))
        return manifest if self.place(aside, key) else self.manifest(key)

    def place(self, aside: Path, key: str) -> bool:
        """Sync a finished folder and rename it into place; false where a done task was there first."""
        for path in [*aside.rglob("*"), aside]:
            sync(path)
        final = self.folder(key)
        final.parent.mkdir(exist_ok=True)
        while True:
            try:
                aside.rename(final)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                if self.done(key):
                    return False
                # what is left of a task whose payload was dropped, or whose manifest is gone
                self.remove(key) if self.dropped(key) else self.set_aside(key)
        sync(final.parent)
        self.clear_failure(key)
        shutil.rmtree(self.scratch(key), ignore_errors=True)
        return True

    def set_aside(self, key: str) -> Path | None:
        """Move a task out of the tasks into the folder damaged/, whole; None where it is gone already."""
        final = self.root / "damaged" / f"{key}.{uuid.uuid4().hex[:8]}"
        final.parent.mkdir(exist_ok=True)
        try:
            self.folder(key).rename(final)
        except FileNotFoundError:
            return None
        sync(final.parent)
        return final

    def remove(self, key: str) -> None:
        """Take a task out of the store, whole even if this process is killed meanwhile."""
        self._discard(self.folder(key))

    def drop(self, key: str) -> int:
        """Take the payload of a done task; returns the bytes. It is not done afterwards.

        Its definition, log, manifest (under another name) and small text files stay, for reports.
        """
        folder = self.folder(key)
        (folder / "manifest.json").rename(folder / DROPPED)
        sync(folder)
        return self._free(folder)

    def finish_drops(self) -> int:
        """Delete the payloads that a killed `drop` left behind; returns the bytes."""
        return sum(self._free(self.folder(key)) for key in self.keys(dropped=True) if self.dropped(key))

    def _free(self, folder: Path) -> int:
        freed = 0
        for path in list((folder / "out").rglob("*")):
            if path.is_file() and not (path.suffix in _TEXTS and path.stat().st_size <= _SMALL):
                freed += path.stat().st_size
                path.unlink()
        return freed

    def record_failure(self, key: str, failure: Mapping[str, Any]) -> None:
        path = self.root / "failures" / f"{key}.json"
        if path.is_dir():
            self._discard(path)
        write_atomically(path, json.dumps(failure, sort_keys=True, indent=1))

    def failure(self, key: str) -> dict[str, Any] | None:
        """The last failure of a task that is not done, or None."""
        try:
            failure = json.loads(read_regular(self.root / "failures" / f"{key}.json"))
        except (OSError, ValueError, RecursionError):
            return None
        is_failure = isinstance(failure, dict) and isinstance(failure.get("error"), str)
        return failure if is_failure else None

    def damaged(self) -> set[str]:
        """Tasks that `bench verify` took out because they were damaged, and that were not made again."""
        return {
            key for key in self.failures() if not self.done(key) and (self.failure(key) or {}).get("damaged")
        }

    def failed(self) -> set[str]:
        """The keys of all stored failures."""
        return {path.stem for path in (self.root / "failures").glob("*.json")}

    def failures(self) -> dict[str, str]:
        """Key to the text of every stored failure; another driver may take some away meanwhile."""
        texts = {}
        for key in sorted(self.failed()):
            with suppress(OSError):
                texts[key] = read_regular(self.root / "failures" / f"{key}.json").decode(errors="replace")
        return texts

    def clear_failure(self, key: str) -> None:
        path = self.root / "failures" / f"{key}.json"
        if path.is_dir():
            self._discard(path)
        path.unlink(missing_ok=True)

    def sweep(self, is_live: Any) -> None:
        """Remove what killed tasks left, except for keys that `is_live(key)` says are running.

        The scratch of a task that is not done stays: it goes on from there.
        """
        for aside in (self.root / "tmp").iterdir():
            if not is_live(aside.name.partition(".")[0]):
                self._discard(aside)
        for scratch in (self.root / "scratch").iterdir():
            if self.done(scratch.name) and not is_live(scratch.name):
                self._discard(scratch)

    def log_of_killed(self, key: str) -> str:
        """What a task had printed when its process was killed; empty where nothing is left of it."""
        logs = sorted((self.root / "tmp").glob(f"{key}.*/log.txt"), key=lambda path: path.stat().st_mtime_ns)
        return logs[-1].read_text(errors="replace") if logs else ""

    def clear_attempts(self, key: str) -> None:
        """Remove what killed processes of a task left, gigabytes perhaps; its scratch stays."""
        for aside in (self.root / "tmp").glob(f"{key}.*"):
            self._discard(aside)

    def _discard(self, path: Path) -> None:
        """Delete, out of its place first: who still writes there must not publish the half that is left."""
        doomed = self.root / "tmp" / f"discarded.{uuid.uuid4().hex}"
        with suppress(FileNotFoundError):
            path.rename(doomed)
            if doomed.is_dir():
                shutil.rmtree(doomed, ignore_errors=True)
            else:
                doomed.unlink()


def open_store(root: Path, *, create: bool = False) -> Store:
    """Open, or make, the store in a folder.

    Raises BenchError where there is none, where it is of a newer format, or where it cannot be written.
    """
    root = root.absolute()
    try:
        str(root).encode("utf-8")
    except UnicodeEncodeError:
        raise BenchError(
            f"the path of the store, {os.fsencode(root)!r}, is not UTF-8, which libraries that write models "
            "cannot do; name another folder with --store"
        ) from None
    marker = root / "store.json"
    if root.exists() and not root.is_dir():
        raise BenchError(f"the store {root} is a file; name a folder with --store")
    try:
        if not marker.exists():
            if not create:
                raise BenchError(
                    f"there is no store in {root}; `bench run` makes one, --store DIR names another"
                )
            strangers = {path.name for path in root.iterdir()} - _OF_SYSTEMS if root.is_dir() else set()
            if strangers and not (root / "tasks").is_dir():
                raise BenchError(f"{root} is not empty and not a store; name another folder with --store")
            _make_folders(root)
            write_atomically(marker, json.dumps({"format": FORMAT, "uuid": uuid.uuid4().hex}))
        written = json.loads(read_regular(marker)).get("format")
        with suppress(OSError):  # a copy by git or to S3 has no empty folders; a read-only one may lack them
            _make_folders(root)
    except BenchError:
        raise
    except OSError as error:
        why = str(error.strerror).lower()
        raise BenchError(
            f"the store {root} cannot be opened: {why}; name another folder with --store"
        ) from None
    except (ValueError, AttributeError):
        raise BenchError(
            f"the store {root} cannot be opened: its store.json is damaged; restore it, or name another "
            "folder with --store"
        ) from None
    if written != FORMAT:
        newer = isinstance(written, int) and written > FORMAT
        mend = "update defectbench" if newer else "no version of defectbench wrote that; restore store.json"
        raise BenchError(f"the store {root} has format {written}, this version reads format {FORMAT}; {mend}")
    return Store(root)


def _folders_in(folder: Path) -> list[Path]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    return [Path(entry.path) for entry in entries if entry.is_dir()]


def _make_folders(root: Path) -> None:
    for name in _FOLDERS:
        if not (root / name).is_dir():
            (root / name).mkdir(parents=True, exist_ok=True)


def check_writable(store: Store) -> None:
    """Raise BenchError if the store cannot be written to."""
    probe = store.root / "tmp" / f"probe.{uuid.uuid4().hex[:8]}"
    try:
        with probe.open("wb") as out:
            out.write(b"\0" * 65536)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        why = str(error.strerror).lower()
        raise BenchError(
            f"the store {store.root} cannot be written: {why}; mend that or name another folder with --store"
        ) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def is_full(root: Path) -> bool:
    """Whether the disk of a store takes no more: libraries report that in many ways, some by a signal."""
    disk = os.statvfs(root)
    return disk.f_bavail * disk.f_frsize < 1 << 16


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. OSError where it is anything else: a pipe would be waited for for ever."""
    file, status = open_at_once(path)
    with file:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read()


def file_facts(out: Path) -> dict[str, dict[str, Any]]:
    """Path below a folder to {"sha256", "size"} of each file in it, as a manifest lists them."""
    return {
        path.relative_to(out).as_posix(): {"sha256": file_sha256(path), "size": path.stat().st_size}
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old or the new text, never a part."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
