"""The names of the five packages are common words: another package of one of them must not go unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

import bench


def test_a_package_of_the_current_folder_that_shadows_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").write_text("")
    done = _bench("list", here=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bench: the package 'reports' is taken from {tmp_path / 'reports'}, not ")
    assert "run bench from another folder" in done.stderr


def test_a_folder_of_a_common_name_that_is_no_package_does_no_harm(tmp_path: Path) -> None:
    for name in ("reports", "detectors", "generators"):
        (tmp_path / name).mkdir()
    assert _bench("list", "protocols", here=tmp_path).returncode == 0


def _bench(*words: str, here: Path) -> subprocess.CompletedProcess[str]:
    home = Path(bench.__file__).parents[1]
    paths = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
