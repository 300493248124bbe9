import os

from bench.runner.line_reader import Lines


def test_a_line_is_given_once_it_is_whole_and_the_end_is_told() -> None:
    read, write = os.pipe()
    lines = Lines(read)
    assert lines.read(0) == []
    os.write(write, b"one\n\ntwo\nthr")
    assert lines.read(0) == [b"one", b"two"]
    assert lines.read(0) == [] and lines.open
    os.write(write, b"ee\n")
    assert lines.read(0) == [b"three"]
    os.close(write)
    assert lines.read(0) == [] and not lines.open
    os.close(read)
