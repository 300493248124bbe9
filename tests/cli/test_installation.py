"""The names of the five packages are common words: another package of one of them must not go unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.errors import BenchError
from bench.installation import own_process


def _package(folder: Path, name: str, source: str = "") -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)


def test_packages_of_the_current_folder_play_no_part(tmp_path: Path) -> None:
    for name in ("reports", "detectors", "generators"):
        _package(tmp_path, name, "raise SystemExit(f'{__file__} was imported')")
    done = _bench("list", "detectors", here=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unet" in done.stdout


def test_a_worker_runs_the_code_of_its_driver_whatever_the_current_folder_holds(tmp_path: Path) -> None:
    for name in ("bench", "detectors", "numpy"):
        _package(tmp_path, name, "raise SystemExit(f'{__file__} was imported')")
    done = subprocess.run(
        own_process("exec"), cwd=tmp_path, input="", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_looks_last_where_its_driver_looks_for_modules_of_a_plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    python, safe, main, *words = own_process("exec")
    _package(tmp_path, "detectors", "raise SystemExit('shadowed')")
    (tmp_path / "of_my_plug_in.py").write_text("")
    code = (
        f"import runpy; runpy.run_path({main!r}); import detectors, of_my_plug_in; print(detectors.__file__)"
    )
    done = subprocess.run(
        [python, safe, "-c", code, *words], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_package_that_comes_first_by_pythonpath_is_named(tmp_path: Path) -> None:
    _package(tmp_path, "reports")
    done = _bench("list", here=tmp_path, first=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bench: the package 'reports' is taken from {tmp_path / 'reports'}, not ")
    assert "run bench from another folder" in done.stderr


def test_a_folder_of_a_common_name_that_is_no_package_does_no_harm(tmp_path: Path) -> None:
    for name in ("reports", "detectors", "generators"):
        (tmp_path / name).mkdir()
    assert _bench("list", "protocols", here=tmp_path).returncode == 0


def test_the_python_api_names_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _package(tmp_path, "protocols")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "protocols", raising=False)
    with pytest.raises(BenchError, match="the package 'protocols' is taken from"):
        bench.run("mvtec_supervised", store=tmp_path / "store", dry_run=True)
    assert not (tmp_path / "store").exists()


def _bench(*words: str, here: Path, first: Path | None = None) -> subprocess.CompletedProcess[str]:
    home = Path(bench.__file__).parents[1]
    paths = os.pathsep.join(
        str(path) for path in (first, home, os.environ.get("PYTHONPATH")) if path is not None
    )
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
