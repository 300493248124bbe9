"""Presets: every ablation by the name of its published row, and the released code's settings."""

import csv
from pathlib import Path

import pytest

from bench.errors import BenchError
from generators.seas import SeaS
from generators.seas.params import ABLATIONS

PUBLISHED = Path(__file__).parents[3] / "protocols" / "published" / "seas.csv"
TABLES = {"5", "6", *map(str, range(9, 19))}


def test_the_defaults_are_the_papers() -> None:
    params = SeaS.configure().params
    assert (params.normal_tokens, params.anomaly_tokens) == (1, 4)
    assert (params.abnormal_batch, params.normal_batch) == (2, 2)
    assert (params.steps_per_type, params.mask_steps_per_type) == (800, 800)
    assert (params.learning_rate, params.token_learning_rate, params.mask_learning_rate) == (4e-6, 4e-5, 5e-4)
    assert (params.normals, params.side) == (60, 512)
    assert (params.attention_layers, params.mask_features) == ((2, 3), (2, 3))
    assert (params.start_step, params.sampling_steps, params.mask_steps) == (1500, 25, 3)
    assert params.threshold == 0.2


def test_every_ablation_of_the_paper_is_a_preset_of_its_published_name() -> None:
    with PUBLISHED.open() as file:
        rows = [row for row in csv.DictReader(file) if row["table"] in TABLES]
    assert {row["table"] for row in rows} == TABLES
    variants = {row["generator"].removeprefix("seas[").removesuffix("]") for row in rows}
    assert variants == set(ABLATIONS)
    for variant in variants:
        SeaS.configure(variant)


def test_each_table_has_one_row_that_is_the_paper_itself() -> None:
    for name in (
        "full",
        "N'=1,N=4",
        "H=1/3",
        "mixed",
        "A:2,3",
        "F:2,3",
        "vae-decoder",
        "nia",
        "mrm-c",
        "tau=0.2",
    ):
        assert SeaS.configure(name).params == SeaS.configure().params
    others = [name for name, given in SeaS.presets.items() if given]
    assert all(SeaS.configure(name).params != SeaS.configure().params for name in others)


def test_the_released_preset_has_the_quirks_of_the_released_code() -> None:
    params = SeaS.configure("released").params
    assert (params.normal_order, params.start_images, params.scale_start) == ("listing", "first-batch", False)
    assert (params.optimizer, params.accumulation, params.precision) == ("8bit", 2, "fp32")
    assert params.attention_norm == "minmax"
    assert (params.mask_network, params.mask_time, params.mask_latents) == ("released", 999, "noisy")
    assert (params.coarse_target, params.mask_loss, params.focal_smoothing) == ("truncated", "mean", 1e-5)
    assert (params.learned_tokens, params.normal_pairing, params.mask_accumulation) == ("all", "paired", 2)
    assert (params.solver_end, params.sampling_precision) == ("sigma_min", "fp16")


def test_no_preset_selects_images() -> None:
    assert {SeaS.configure(name).params.empty_masks for name in SeaS.presets} == {"keep"}


def test_a_listing_does_not_change_with_the_seed_and_a_draw_does(split, context) -> None:
    from generators.seas.material import choose_normals
    from generators.seas.params import SeaSParams

    category = split.categories["plate"]

    def chosen(order: str, seed: int) -> list[int]:
        return choose_normals(category, SeaSParams(normal_order=order), context(seed=seed), "seas")

    assert chosen("listing", 0) == chosen("listing", 1)
    assert chosen("drawn", 0) != chosen("drawn", 1)
    assert sorted(chosen("drawn", 0)) == list(range(6))
    assert len(choose_normals(category, SeaSParams(normals=4), context(), "seas")) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"attention_layers": (3, 2)}, "rising numbers from 1 to 4"),
        ({"mask_features": (2, 5)}, "rising numbers from 1 to 4"),
        ({"mask_steps": 30}, "mask_steps cannot be more"),
        ({"threshold": 1.0}, "threshold"),
    ],
)
def test_options_that_cannot_be_are_refused(options, told: str) -> None:
    with pytest.raises(BenchError, match=told):
        SeaS.configure(None, options)


def test_names_with_commas_in_brackets_are_one_name() -> None:
    from bench.cli.options import parse_names

    assert parse_names("seas[A:1,2,3],perlin,seas[N'=1,N=1]") == ("seas[A:1,2,3]", "perlin", "seas[N'=1,N=1]")
