import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.methods.context import Context
from bench.streams import stream, stream_seed

NAMES = (0, "detector.fit", "unet", "", "order", None)
FIRST = [997, 110, 176, 187, 963, 816]


def context(tmp_path: Path, **changes: Any) -> Context:
    given = {"seed": 0, "stage": "detector.fit", "adapter": "unet", "category": "", "device": "cpu"}
    return Context(**{**given, **changes}, scratch=tmp_path)


def test_a_stream_never_changes() -> None:
    assert stream_seed(*NAMES) == 214429087072362031852674944236134804515
    assert stream(*NAMES).integers(0, 1000, 6).tolist() == FIRST


def test_a_fresh_process_draws_the_same() -> None:
    code = f"from bench.streams import stream; print(stream(*{NAMES!r}).integers(0, 1000, 6).tolist())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(FIRST)


@given(st.lists(st.lists(st.text(max_size=4) | st.integers(), max_size=4), unique_by=tuple, max_size=6))
def test_streams_of_other_names_are_other_streams(names: list[list[Any]]) -> None:
    assert len({stream_seed(*each) for each in names}) == len(names)


def test_where_one_name_ends_matters() -> None:
    assert stream_seed("ab", "c") != stream_seed("a", "bc")
    assert stream_seed("1") != stream_seed(1)
    assert stream_seed("a") != stream_seed("a", None)


def test_a_context_gives_each_name_and_index_a_stream_of_its_own(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    draws = [
        ctx.rng(name, index).integers(2**62)
        for name, index in itertools.product(("order", "noise"), (None, 0, 1))
    ]
    assert len(set(draws)) == 6
    assert ctx.rng("order", 1).integers(2**62) == ctx.rng("order", 1).integers(2**62)


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"stage": "detector.predict"}, {"adapter": "bisenet_v2"}, {"category": "washer"}]
)
def test_seed_stage_adapter_and_category_part_streams(tmp_path: Path, changed: dict[str, Any]) -> None:
    mine, other = context(tmp_path), context(tmp_path, **changed)
    assert mine.rng("order").integers(2**62) != other.rng("order").integers(2**62)


def test_nothing_that_a_task_is_fed_reaches_its_streams(tmp_path: Path) -> None:
    here = context(tmp_path)
    there = context(tmp_path / "elsewhere", device="cuda:1", weights=tmp_path, deadline=5.0)
    assert np.array_equal(here.rng("order").random(4), there.rng("order").random(4))


def test_a_torch_stream_leaves_the_global_state_untouched(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    before = torch.get_rng_state()
    with ctx.torch_stream("weights"):
        drawn = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    with ctx.torch_stream("weights"):
        assert torch.equal(torch.rand(4), drawn)
    with ctx.torch_stream("weights", 1):
        assert not torch.equal(torch.rand(4), drawn)


def test_a_torch_stream_leaves_the_global_state_untouched_by_an_error(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), context(tmp_path).torch_stream("weights"):
        torch.rand(2, 2) @ torch.rand(3, 3)
    assert torch.equal(torch.get_rng_state(), before)
