"""Damaged and hostile files: every reader of what comes from outside gives a value or one sentence.

No crash, no hang, no other exception. A thousand inputs a run; DEFECTBENCH_FUZZ=N asks for N, and the test
marked `full` for 100,000. Mutations of sound files, drawn by hypothesis, which shrinks what fails.
"""

import io
import json
import os
import signal
import struct
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data.images import decode_depth, decode_image, decode_mask_values, read_image
from bench.data.split_file import read_split_file
from bench.errors import BenchError
from bench.features.weights import WeightsMissingError, load_state
from bench.foreign.spec import load_foreign
from bench.gate.baseline_file import parse
from bench.ingestion.predictions import read_map
from bench.methods import Request, Sample
from bench.methods.samples import read_samples, write_samples
from bench.planning.protocol_file import read_protocol

MANY = int(os.environ.get("DEFECTBENCH_FUZZ", "1000"))
SECONDS = 20
"""A reader that takes longer hangs."""

Reader = Callable[[Path], object]
Case = tuple[Reader, list[tuple[str, bytes]], tuple[type[Exception], ...]]
"""A reader, sound files, and what it may raise."""


def _image_files() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    grey = colour.convert("L")
    for name, image, options in (
        ("a.png", colour, {}),
        ("b.png", colour.quantize(8), {}),
        ("c.png", Image.fromarray(rng.integers(0, 65536, (9, 7), dtype=np.uint16)), {}),
        ("a.jpg", colour, {"quality": 80}),
        ("b.jpg", grey, {"progressive": True}),
        ("a.bmp", colour, {}),
        ("a.tif", colour, {"compression": "tiff_lzw"}),
        ("b.tif", Image.fromarray(rng.random((8, 8), dtype=np.float32)), {}),
        ("a.webp", colour, {}),
        ("a.ppm", colour, {}),
        ("a.gif", grey, {"save_all": True, "append_images": [grey.rotate(90)]}),
    ):
        buffer = io.BytesIO()
        formats = {"jpg": "JPEG", "tif": "TIFF", "ppm": "PPM"}
        suffix = name.rpartition(".")[2]
        image.save(buffer, formats.get(suffix, suffix.upper()), **options)
        yield name, buffer.getvalue()


def _array_files() -> Iterator[tuple[str, bytes]]:
    for name, values in (("a.npy", np.ones((6, 5), np.float32)), ("b.npy", np.ones((1, 4, 4)))):
        buffer = io.BytesIO()
        np.save(buffer, values)
        yield name, buffer.getvalue()


def _zip_files(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    image = np.zeros((8, 8, 3), np.uint8)
    samples = iter([Sample(image, np.ones((8, 8), bool))] * 2)
    write_samples(tmp_path / "s.zip", Request("c", "d", range(2)), samples, generator="g")
    yield "s.zip", (tmp_path / "s.zip").read_bytes()


def _text_files() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parents[2]
    yield "p.toml", (root / "protocols" / "mvtec_supervised.toml").read_bytes()
    yield "s.toml", b'name = "mine"\n[base.washer]\nhole = ["000", "001"]\n[test.washer]\ngood = ["000"]\n'
    yield "s.json", json.dumps({"name": "mine", "base": {"washer": {"hole": ["000"]}}}).encode()
    yield (
        "f.toml",
        b'kind = "detector"\nname = "d"\nversion = 1\nabout = "x"\npredict = ["run", "{images}", "{out}"]\n',
    )


def _weight_files() -> Iterator[tuple[str, bytes]]:
    buffer = io.BytesIO()
    torch.save({"conv.weight": torch.ones(2, 3), "bias": torch.zeros(4)}, buffer)
    yield "w.pth", buffer.getvalue()


def _readers(tmp_path: Path) -> list[Case]:
    pictures = list(_image_files())
    refused = (BenchError,)
    return [
        (lambda path: decode_image(path.read_bytes(), path), pictures, refused),
        (lambda path: decode_mask_values(path.read_bytes(), path), pictures, refused),
        (lambda path: decode_depth(path.read_bytes(), path), pictures, refused),
        (read_map, [*_array_files(), *pictures], refused),
        (lambda path: list(read_samples(path)), list(_zip_files(tmp_path)), refused),
        (read_protocol, list(_text_files()), refused),
        (read_split_file, list(_text_files()), refused),
        (load_foreign, list(_text_files()), refused),
        (
            lambda path: parse(path.read_text(encoding="utf-8", errors="replace"), path.name),
            list(_text_files()),
            refused,
        ),
        (load_state, list(_weight_files()), (WeightsMissingError,)),
    ]


Edit = tuple[int, int, int]
"""What is done, where, and with what number."""
EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1 << 16), st.integers(0, (1 << 32) - 1)),
    min_size=1,
    max_size=16,
)


def mutated(data: bytes, edits: list[Edit]) -> bytes:
    """The bytes with a few things wrong: flipped, cut, repeated, set to extremes, mixed with themselves."""
    content = bytearray(data)
    for kind, position, number in edits:
        if not content:
            break
        at = position % len(content)
        match kind:
            case 0:
                content[at] ^= 1 << number % 8
            case 1:
                content[at] = (0, 1, 0x7F, 0x80, 0xFF, ord("{"), ord("/"), ord("."))[number % 8]
            case 2:
                del content[at : at + (1, 4, 64, len(content))[number % 4]]
            case 3:
                content[at:at] = content[at : at + 1 + number % 64] * (1, 2, 50)[number % 3]
            case 4:
                extreme = (0, 1, 50_000, 0x7FFFFFFF, 0xFFFFFFFF, number)[number % 6]
                content[at : at + 4] = struct.pack((">I", "<I")[number % 2], extreme)
            case 5:
                content[at:at] = number.to_bytes(4) * (1 + number % 4)
            case 6:
                other = number % len(content)
                content[at : at + 16] = content[other : other + 16]
    return bytes(content)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(tmp_path: Path, count: int, part: int = 0) -> Counter[str]:
    """Read so many inputs; returns how many gave a value and how many a sentence."""
    readers = _readers(tmp_path)
    endings: Counter[str] = Counter()

    @seed(part)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(readers) - 1), st.integers(0, 1 << 16), EDITS)
    def read(number: int, choice: int, edits: list[Edit]) -> None:
        reader, files, may_raise = readers[number]
        name, data = files[choice % len(files)]
        note(f"reader {number}, {name}")
        path = tmp_path / f"input.{name.rpartition('.')[2]}"
        path.write_bytes(mutated(data, edits))
        try:
            with within(SECONDS), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader(path)
            endings["value"] += 1
        except may_raise as error:
            endings["sentence" if "\n" not in str(error) else f"more than one line: {error}"] += 1

    read()
    return endings


def test_damaged_files_give_a_value_or_a_sentence(tmp_path: Path) -> None:
    endings = fuzz(tmp_path, MANY)
    assert endings.keys() == {"value", "sentence"}
    assert endings["value"] > MANY // 20
    assert endings["sentence"] > MANY // 5


@pytest.mark.full
@pytest.mark.parametrize("part", range(1, 11))
def test_a_hundred_thousand_damaged_files(part: int, tmp_path: Path) -> None:
    """In ten parts: hypothesis keeps what it has tried in memory."""
    endings = fuzz(tmp_path, 10_000, part)
    assert endings.keys() == {"value", "sentence"} and endings.total() >= 10_000


class Harm:
    """What a pickle can do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Harm(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(WeightsMissingError, match=r"w\.pth"):
        load_state(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_an_archive_whose_names_climb_out_writes_nothing_outside(tmp_path: Path) -> None:
    from bench.methods.samples import extract

    image = np.zeros((8, 8, 3), np.uint8)
    path = tmp_path / "s.zip"
    write_samples(path, Request("c", "good", range(1)), iter([Sample(image)]), generator="g")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members["index.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if name == "index.json":
                data = json.dumps({**index, "category": "../../up", "defect": "../up"}).encode()
            archive.writestr(name, data)
            archive.writestr(f"../{name}", data)
    (tmp_path / "out").mkdir()
    with pytest.raises(BenchError):
        extract([path], tmp_path / "out" / "deep")
    assert {entry.name for entry in tmp_path.iterdir()} == {"s.zip", "out"}


@pytest.mark.parametrize("name", ["index.json", "image/000.png"])
def test_an_archive_that_would_unfold_is_refused_unread(tmp_path: Path, name: str) -> None:
    from bench.methods.samples import extract

    whole, path = tmp_path / "whole.zip", tmp_path / "bomb.zip"
    sample = Sample(np.zeros((8, 8, 3), np.uint8))
    write_samples(whole, Request("c", "good", range(1)), iter([sample]), generator="g")
    with zipfile.ZipFile(whole) as sound, zipfile.ZipFile(path, "w") as bomb:
        for member in sound.namelist():
            if member == name:
                bomb.writestr(name, bytes(1 << 26), zipfile.ZIP_DEFLATED)
            else:
                bomb.writestr(member, sound.read(member))
    assert path.stat().st_size < 1 << 17
    tracemalloc.start()
    for read in (lambda: list(read_samples(path)), lambda: extract([path], tmp_path / "out")):
        with pytest.raises(BenchError, match=r"make (it|the set) again"):
            read()
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = {" + "a." * 50_000 + "a = 1}",
        "[" + "'a' . " * 50_000 + "a]",
        "a = " + "9" * 5_000,
        "a = 2026-02-30",
    ],
    ids=["deep", "a long key", "a long header", "a long number", "no date"],
)
def test_toml_that_would_end_its_reader_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with within(SECONDS):
        for read in (read_protocol, load_foreign, read_split_file):
            with pytest.raises(BenchError, match=r"a\.toml"):
                read(path)
        with pytest.raises(BenchError, match=r"a\.toml"):
            parse(text, path.name)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_a_file_that_would_never_end_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            with path.open("wb") as file:
                file.truncate(1 << 40)  # takes no room on the disk
    with within(SECONDS), pytest.raises(BenchError, match=r"a\.png") as refusal:
        read_image(path)
    assert "\n" not in str(refusal.value)


def test_an_image_of_fifty_thousand_pixels_a_side_is_refused_unread(tmp_path: Path) -> None:
    import zlib

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(bytes(1 << 20)))
    with within(SECONDS), pytest.raises(BenchError, match="million pixels"):
        decode_image(bomb, tmp_path / "bomb.png")
