"""A package that cannot be used on this machine is found before any work, in one sentence."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.methods.packages import why_unusable
from bench.planning.config import Skipped
from bench.store import Store


@pytest.fixture
def no_lib_gl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenCV as it is in a container without the libraries of a screen."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "cv2"]:
        monkeypatch.delitem(sys.modules, name)
    why_unusable.cache_clear()
    yield
    why_unusable.cache_clear()


def test_a_package_says_what_to_install() -> None:
    assert why_unusable("numpy") == why_unusable("cv2") == ""
    assert why_unusable("no_such_package") == "no_such_package is not installed: pip install no_such_package"


@pytest.mark.usefixtures("no_lib_gl")
def test_a_method_whose_library_is_not_there_is_skipped_with_the_mend(
    store: Store, prepare: Callable[..., Any]
) -> None:
    cells = list(prepare(store, detectors=("bisenet_v2", "unet")).planned())
    reasons = {cell.reason for cell in cells if isinstance(cell, Skipped)}
    (reason,) = (reason for reason in reasons if "libGL.so.1" in reason)
    assert reason.startswith("'bisenet_v2': cv2 cannot be imported (libGL.so.1: cannot open shared object)")
    assert "pip install opencv-python-headless" in reason
    assert any(not isinstance(cell, Skipped) and cell.stage == "score.detection" for cell in cells)
