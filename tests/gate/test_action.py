"""The GitHub Action and the pre-commit hook do what a workflow expects of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / ".github/actions/gate/action.yml").read_text())
NEEDED = {"SPEED": "", "JUNIT": "gate.xml", "STORE": "store"}


def step(name: str) -> str:
    return next(each["run"] for each in ACTION["runs"]["steps"] if each["name"] == name)


@pytest.fixture
def shell(tmp_path: Path):
    """Run a step of the action as GitHub does, with `bench` on the path; its exit code and the summary."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "bench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    program.chmod(0o755)

    def shell(script: str, **env: str) -> tuple[int, str, str]:
        places = {name: str(tmp_path / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**os.environ, **NEEDED, **places, "PATH": path, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
        )
        summary = Path(places["GITHUB_STEP_SUMMARY"])
        return ended.returncode, ended.stdout + ended.stderr, summary.read_text() if summary.exists() else ""

    return shell


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """A baseline of one speed ratio, and a result that is slower."""
    (tmp_path / "times.json").write_text(
        '{"benchmarks": [{"fullname": "t.py::test_a", "extra_info": {"times faster than the peer": 2.0}}]}'
    )
    (tmp_path / "b.toml").write_text(
        'format = 1\n[speeds]\n"t.py::test_a" = [[1, 9.0]]\n[[updates]]\nnumber = 1\ndate = "2026-11-22"\n'
        'reason = "timed"\ncommit = ""\nenvironment = ""\ncommand = ""\n'
    )
    return tmp_path


def test_the_gate_step_passes_the_exit_code_on_and_writes_the_summary(shell, timed) -> None:
    code, told, summary = shell(step("Gate"), BASELINE="b.toml", SPEED="times.json")
    assert code == 1, told
    assert "| LOSS | speed |" in summary
    assert (timed / "github_output").read_text() == "code=1\n"
    assert (timed / "gate.xml").exists()


def test_a_gate_that_cannot_tell_ends_with_two(shell) -> None:
    code, told, _ = shell(step("Gate"), BASELINE="none.toml")
    assert code == 2 and "there is no baseline" in told


def test_the_run_step_refuses_what_bench_run_refuses(shell) -> None:
    code, told, _ = shell(step("Run what is measured"), ARGUMENTS="--protocol 'no such' --scale smoke")
    assert code == 2, told
    assert "unknown protocol 'no such'" in told


def test_the_workflow_gives_the_action_what_it_takes_and_names_files_that_exist() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/gate.yml").read_text())
    (used,) = [each for each in workflow["jobs"]["gate"]["steps"] if "gate" in each.get("uses", "")]
    assert (ROOT / used["uses"] / "action.yml").exists()
    assert set(used["with"]) <= set(ACTION["inputs"])
    assert (ROOT / used["with"]["baseline"]).exists()


def test_the_pre_commit_hook_calls_a_command_that_exists() -> None:
    from bench.cli.app import app

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, command = hook["entry"].split()
    assert program == "bench"
    assert command in {each.name or each.callback.__name__ for each in app.registered_commands}
