"""Source that changed with neither a new version nor a written reason fails here."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

golden = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("update.py"))))
RECORDED = golden.recorded()
NAMES = [(group, name) for group, entries in RECORDED.items() for name in entries]


@pytest.fixture(scope="module")
def now() -> Any:
    return golden.current()


def test_every_built_in_adapter_and_stage_is_recorded_and_no_other(now: Any) -> None:
    assert [(group, name) for group, entries in sorted(now.items()) for name in sorted(entries)] == sorted(
        NAMES
    )


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_changed_source_has_a_new_version_or_a_reason(now: Any, group: str, name: str) -> None:
    old, new = RECORDED[group][name], now[group][name]
    assert old["reason"].strip()
    assert (new["version"], new["sha256"]) == (old["version"], old["sha256"]), (
        f"the code that {group}/{name} runs changed: raise its version if outputs "
        'may differ; then run `python tests/golden/update.py "why outputs are the same"`'
    )


def test_the_own_package_and_what_adapters_share_are_followed() -> None:
    _, modules = golden.digest("generators.perlin:Perlin", ("generators", *golden.SHARED))
    assert {"generators.perlin", "generators.requests", "bench.methods.textures.perlin"} <= set(modules)
    assert not any(
        name.startswith("bench.") for name in modules if not name.startswith("bench.methods.textures.")
    )


def an_entry(version: int, sha256: str, **more: str) -> dict[str, dict[str, Any]]:
    return {"generators": {"mine": {"version": version, "sha256": sha256, **more}}}


def test_a_change_without_version_or_reason_is_not_recorded() -> None:
    before = an_entry(1, "a", reason="first")
    with pytest.raises(ValueError, match="generators/mine changed and has the same version: give a reason"):
        golden.updated(an_entry(1, "b"), before, "")
    assert golden.updated(an_entry(1, "b"), before, "renamed")["generators"]["mine"]["reason"] == "renamed"
    assert "version 2" in golden.updated(an_entry(2, "b"), before, "")["generators"]["mine"]["reason"]
    assert golden.updated(an_entry(1, "a"), before, "renamed") == before


def test_a_version_does_not_go_down() -> None:
    with pytest.raises(ValueError, match="had version 2 and has 1"):
        golden.updated(an_entry(1, "b"), an_entry(2, "a", reason="first"), "a mistake")
