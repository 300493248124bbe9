"""What names and other people's stores hold reaches a terminal and a log as text, in any encoding."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.streams import plain_streams
from bench.installation import own_process

EVIL = "a\n::error title=x::pwn\r##[group]b\x1b]0;title\x07\x9b2J\u202edc"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(monkeypatch: pytest.MonkeyPatch, out: Any, *texts: str) -> None:
    monkeypatch.setattr(sys, "stdout", out)
    with plain_streams():
        print(*texts)


def test_a_log_takes_no_line_for_a_command_and_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    written(monkeypatch, out, EVIL)
    lines = out.getvalue().splitlines()
    assert lines[:3] == ["a", ": :error title=x::pwn", "# #[group]b\ufffd]0;title\ufffd\ufffd2J\ufffddc"]


@pytest.mark.parametrize("texts", [("::error",), (" ", "::error"), (":", ":error"), ("", "  ::error")])
def test_a_command_in_pieces_is_none_either(monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with plain_streams():
        for text in texts:
            print(text, end="")
    assert not out.getvalue().lstrip().startswith("::")


def test_a_terminal_keeps_colours_and_nothing_else_that_steers(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    written(monkeypatch, out, "\x1b[1mbold\x1b[0m \x1b]0;title\x07\x1b[2J::x")
    assert out.getvalue() == "\x1b[1mbold\x1b[0m \ufffd]0;title\ufffd\ufffd[2J::x\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "cp1252", "utf-8"])
def test_every_sign_has_a_stand_in_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    written(monkeypatch, io.TextIOWrapper(raw, encoding=encoding, write_through=True), "↑ 1–2 \udcff \u0416")
    text = raw.getvalue().decode(encoding)
    assert text.startswith("↑ " if encoding in ("gbk", "utf-8") else "^ ")
    assert "\udcff" not in text
    if encoding == "ascii":
        assert text == "^ 1-2 ? ?\n"


def test_a_store_of_others_prints_its_names_as_text(
    bench: Callable[..., Any], written_store: Callable[..., Path], tmp_path: Path
) -> None:
    first = written_store(tmp_path / "a", {"none": (0.5, 0.5), EVIL: (0.6, 0.6)})
    second = written_store(tmp_path / "b", {"none": (0.5, 0.5), EVIL: (0.7, 0.7)})
    for words in (("compare", first, second), ("status", "--store", first)):
        output = bench(*words)
        assert output.code == 0, output
        for text in (output.out, output.err):
            assert not any(letter in text for letter in "\x1b\x07\x9b\u202e")
            assert not any(line.lstrip().startswith("::") or "##[" in line for line in text.splitlines())


def test_a_reader_that_has_had_enough_ends_a_command_without_a_word() -> None:
    words = [*own_process("published")[:4], "show", "seas"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize(
    "words", [("doctor",), ("run", "--protocol", "mvtec_unsupervised", "--dry-run", "--store", "none-here")]
)
def test_a_system_that_runs_cannot_rest_on_is_named(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert "runs on Linux and macOS" in refused(*words)
