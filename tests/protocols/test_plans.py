"""What each protocol trains on what, what its gains are counted from, and what it says cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.methods import registry
from bench.planning.methods import bare_name
from bench.planning.protocol_file import load_protocol
from bench.record.labels import CellLabels
from bench.tasks import closure

PROTOCOLS = registry.names("protocol")
Planned = Callable[..., Any]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_scale_names_methods_that_exist(protocol: str) -> None:
    spec = load_protocol(protocol)
    assert {"paper", "quick", "smoke"} <= set(spec.scales)
    for scale in spec.scales.values():
        assert {bare_name(name) for name in scale.generators} <= set(registry.names("generator"))
        assert {bare_name(name) for name in scale.detectors} <= set(registry.names("detector"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_row_has_the_same_share_of_normal_images(protocol: str) -> None:
    assert len({mix.normal for mix in load_protocol(protocol).mixes.values()}) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_says_in_a_line_what_it_asks(protocol: str) -> None:
    first, *more = load_protocol(protocol).question.strip().splitlines()
    assert first.endswith(".")
    assert not more or more[0] == ""


@pytest.mark.parametrize(
    ("protocol", "detector", "baseline"),
    [
        ("mvtec_generation", "unet", "real"),
        ("mvtec_localization", "unet", "real"),
        ("mvtec_supervised", "unet", "real"),
        ("mvtec_synthesis", "maker", "pseudo"),
        ("mvtec_unsupervised", "normals", "normal"),
    ],
)
def test_gains_are_counted_from_the_first_row_which_has_no_generator(
    planned: Planned, protocol: str, detector: str, baseline: str
) -> None:
    plan = planned(protocol, generators=("crop_paste",), detectors=(detector,))
    assert plan.rows()[0] == (baseline, "none")
    assert plan.prepared.about["baseline"] == baseline


def test_synthesis_replaces_a_detectors_own_anomalies_or_stands_beside_them(planned: Planned) -> None:
    plan = planned("mvtec_synthesis", generators=("crop_paste",), detectors=("maker",))
    assert plan.rows() == [
        ("pseudo", "none"),
        ("real", "none"),
        ("pseudo+real", "none"),
        ("generated", "crop_paste"),
        ("pseudo+generated", "crop_paste"),
    ]
    assert plan.trained_on() == {
        "pseudo": {"normal"},
        "real": {"normal", "real"},
        "pseudo+real": {"normal", "real"},
        "generated": {"normal", "generated"},
        "pseudo+generated": {"normal", "generated"},
    }
    shares = [task.params["shares"] for task in plan.tasks("detector.fit")]
    assert [of_row.get("pseudo", 0) for of_row in shares] == [0.5, 0, 0.25, 0, 0.25]


def test_normals_of_a_generator_stand_beside_train_good(planned: Planned) -> None:
    options = {"generators": ("augmented_normals", "crop_paste"), "detectors": ("normals",)}
    plan = planned("mvtec_unsupervised", **options)
    assert plan.rows() == [("normal", "none"), ("normal+generated", "augmented_normals")]
    assert plan.trained_on() == {"normal": {"normal"}, "normal+generated": {"normal", "generated-normal"}}
    assert plan.reasons("pixel") == {"crop_paste makes no normal images"}
    assert [task.params["defect"] for task in plan.tasks("generator.sample")] == ["good"]


def test_generated_normals_stand_beside_generated_defects_in_a_row_of_their_own(
    planned: Planned, deep: Path
) -> None:
    plan = planned("mvtec_localization", data=deep, generators=("deep", "crop_paste"))
    assert plan.rows() == [
        ("real", "none"),
        ("generated", "deep"),
        ("generated+generated-normal", "deep"),
        ("generated", "crop_paste"),
    ]
    assert plan.trained_on()["generated+generated-normal"] == {"normal", "generated", "generated-normal"}
    assert plan.reasons("pixel") == {"crop_paste makes no normal images"}


def test_defects_and_normals_of_one_generator_are_apart(planned: Planned, deep: Path) -> None:
    plan = planned("mvtec_supervised", data=deep, generators=("deep",), detectors=("unet",))
    counts = [set(task.params["counts"]) for task in plan.tasks("generator.cache")]
    assert sorted(counts, key=len) == [{"good"}, {"dent", "stain"}]
    assert {stage.stage for stage in plan.goals} >= {"score.generation", "score.normals"}
    for fit in plan.tasks("detector.fit"):
        pools = [task.params["counts"] for role, task in fit.inputs if role.startswith("generated/")]
        assert all("good" not in pool for pool in pools)


@pytest.mark.parametrize(
    ("protocol", "detector", "reason"),
    [
        ("mvtec_synthesis", "unet", "unet makes no anomalies of its own"),
        ("mvtec_supervised", "normals", "normals learns from normal images alone"),
        ("mvtec_supervised", "patchcore", "patchcore learns from normal images alone"),
    ],
)
def test_a_detector_that_cannot_learn_from_a_mix_is_skipped_with_the_reason(
    planned: Planned, protocol: str, detector: str, reason: str
) -> None:
    plan = planned(protocol, generators=("crop_paste",), detectors=(detector,))
    assert reason in plan.reasons("pixel")


def test_a_share_of_own_anomalies_needs_shares(planned: Planned) -> None:
    options = {"generators": ("crop_paste",), "detectors": ("maker",), "settings": ("maker.balanced=false",)}
    plan = planned("mvtec_synthesis", **options)
    assert plan.rows() == [("real", "none"), ("generated", "crop_paste")]
    assert plan.reasons("pixel") == {"with balanced=false maker has no share for anomalies of its own"}


def test_a_generator_of_normals_alone_has_no_metrics_of_anomalies(planned: Planned) -> None:
    plan = planned("mvtec_generation", generators=("augmented_normals",), detectors=("resnet34",))
    reason = "augmented_normals makes no anomalies"
    assert plan.reasons("generation") == plan.reasons("classification") == {reason}
    assert len(plan.tasks("score.normals")) == 1


def test_quality_is_also_taken_in_the_dialect_of_the_paper_and_needs_held_out_images_for_it(
    planned: Planned,
) -> None:
    (ours,) = planned("mvtec_generation", generators=("crop_paste",)).tasks("features.perceptual")
    (plain,) = planned("mvtec_supervised", generators=("crop_paste",)).tasks("features.perceptual")
    assert ours.params["dialects"] == ["default", "anomalyhybrid"]
    assert "test" in dict(ours.inputs)
    assert "test" not in dict(plain.inputs)


def test_an_ablation_is_one_setting_for_all_generators_that_have_it(planned: Planned) -> None:
    options = {"generators": ("crop_paste", "perlin")}
    plan = planned("mvtec_generation", settings=("generator.placement=natural",), **options)
    placed = {task.adapter: task.params["params"].get("placement") for task in plan.tasks("generator.fit")}
    assert placed == {"crop_paste@1": "natural", "perlin@1": None}
    of_one_and_all = ("generator.placement=natural", "crop_paste.placement=similar")
    (fit, _) = planned("mvtec_generation", settings=of_one_and_all, **options).tasks("generator.fit")
    assert fit.params["params"]["placement"] == "similar"
    with pytest.raises(BenchError, match="unknown parameter 'placment' of 'the chosen generators'"):
        planned("mvtec_generation", settings=("generator.placment=natural",), **options)


@pytest.mark.parametrize(
    ("setting", "parameter", "value"),
    [
        ("decoders=ahd", "decoders", "ahd"),
        ("decoders=ahe", "decoders", "ahe"),
        ("manipulations=merge", "manipulations", ["merge"]),
        ("manipulations=remove", "manipulations", ["remove"]),
        ("manipulations=replace", "manipulations", ["replace"]),
        ("manipulations=merge+remove+replace", "manipulations", ["merge", "remove", "replace"]),
    ],
)
def test_rows_of_anomalyhybrids_tables_5_and_7_are_one_setting_each(
    planned: Planned, setting: str, parameter: str, value: Any
) -> None:
    plan = planned("mvtec_generation", generators=("anomalyhybrid",), settings=(f"generator.{setting}",))
    samples = plan.tasks("generator.sample")
    assert samples
    assert all(task.params["params"][parameter] == value for task in samples)
    assert plan.tasks("score.generation")
    assert plan.tasks("score.classification")


def test_conditions_belong_to_the_data_set_and_are_shared_by_its_fits(planned: Planned) -> None:
    """Whatever the seed, and whatever is changed that does not decide them."""

    def derived(*settings: str, **more: Any) -> set[str]:
        plan = planned("mvtec_generation", generators=("anomalyhybrid",), settings=settings, **more)
        fits = plan.tasks("generator.fit")
        conditions = {role: task for fit in fits for role, task in fit.inputs if role.startswith("derived/")}
        assert conditions.keys() == {
            f"derived/{task.params['category']}" for task in plan.tasks("generator.derive")
        }
        return {task.key for task in plan.tasks("generator.derive")}

    whole = derived()
    assert len(whole) == 1
    assert whole == derived(seeds=(0, 1)) == derived("generator.decoders=ahd", "anomalyhybrid.steps=9")
    assert whole.isdisjoint(derived("anomalyhybrid.edges=pidinet", "anomalyhybrid.depth=shading"))


def test_depth_is_skipped_where_there_is_none(planned: Planned, deep: Path) -> None:
    options = {"generators": ("crop_paste",), "settings": ("modalities=rgb,depth,rgb+depth",)}
    plan = planned("mvtec_localization", **options)
    assert "washer has no depth maps" in plan.reasons("pixel")
    assert {task.params["labels"].get("modality", "rgb") for task in plan.tasks("score.detection")} == {"rgb"}
    plan = planned("mvtec_localization", data=deep, **options)
    assert "crop_paste makes no depth" in plan.reasons("pixel")


def test_a_generator_that_needs_depth_is_skipped_where_there_is_none(planned: Planned) -> None:
    plan = planned("mvtec_localization", generators=("deep",))
    reason = "deep needs depth maps, which washer has not"
    assert (
        plan.reasons("generation") == plan.reasons("generation-normal") == plan.reasons("pixel") == {reason}
    )


def test_a_segmenter_is_trained_on_colour_and_on_depth_and_fused(planned: Planned, deep: Path) -> None:
    options = {"data": deep, "generators": ("deep",), "settings": ("modalities=rgb,depth,rgb+depth",)}
    plan = planned("mvtec_localization", **options)
    modalities = [task.params["labels"].get("modality", "rgb") for task in plan.tasks("score.detection")]
    assert sorted(modalities) == ["depth"] * 3 + ["rgb"] * 3 + ["rgb+depth"] * 3
    assert len(plan.tasks("detector.fit")) == 6  # what is fused is not trained again
    assert len(plan.tasks("detector.fuse")) == 3
    by_depth = [
        task
        for task in plan.tasks("detector.fit")
        if {used.stage for _, used in task.inputs} == {"data.depth_images"}
    ]
    assert len(by_depth) == 3
    test = {task.key for task in plan.tasks("data.cache") if task.params["part"] == "test"}
    assert all(not test & closure([fit]).keys() for fit in plan.tasks("detector.fit"))


def test_a_detector_that_reads_depth_itself_is_given_the_maps_and_named_so(
    planned: Planned, flat: Path, deep: Path
) -> None:
    options = {"generators": ("deep",), "detectors": ("relief",)}
    plan = planned("mvtec_unsupervised", data=deep, **options)
    assert {task.params["labels"]["modality"] for task in plan.tasks("score.detection")} == {"depth"}
    used = {task.stage for fit in plan.tasks("detector.fit") for _, task in fit.inputs}
    assert used == {"data.cache", "generator.cache"}
    assert "washer has no depth maps" in planned("mvtec_unsupervised", data=flat, **options).reasons("pixel")


def test_classifiers_are_not_fused(planned: Planned, deep: Path) -> None:
    options = {"data": deep, "generators": ("deep",), "settings": ("modalities=depth,rgb+depth",)}
    plan = planned("mvtec_generation", **options)
    reason = "resnet34 names defects; only anomaly maps and scores are fused"
    assert plan.reasons("classification") == {reason}


@pytest.mark.parametrize(
    "setting", ["modalities=rgb,rgb", "modalities=infrared", "modalities=1", "modalities=''"]
)
def test_a_wrong_modality_is_refused_in_one_sentence(planned: Planned, setting: str) -> None:
    with pytest.raises(BenchError, match="--set: modalities"):
        planned("mvtec_localization", settings=(setting,))


def test_other_protocols_share_what_they_have_in_common(planned: Planned) -> None:
    """Running a second protocol in a store makes nothing again that the first one made."""
    options = {"generators": ("crop_paste",), "detectors": ("unet",)}
    one, other = planned("mvtec_supervised", **options), planned("mvtec_localization", **options)
    for stage in ("data.cache", "generator.cache", "features", "features.perceptual"):
        assert {task.key for task in one.tasks(stage)} == {task.key for task in other.tasks(stage)}


def test_variants_of_one_method_stand_beside_each_other_in_one_run(planned: Planned) -> None:
    generators, detectors = ("crop_paste", "crop_paste[tiny]"), ("draem", "draem[tiny]")
    plan = planned("mvtec_synthesis", generators=generators, detectors=detectors)
    labels = [CellLabels(**goal.params["labels"]) for goal in plan.goals if "labels" in goal.params]
    assert {cell.generator_title for cell in labels} >= set(generators)
    assert {cell.detector_title for cell in labels} >= set(detectors)
    # a scale that takes the same preset fits once
    assert len({fit.key for fit in plan.tasks("generator.fit")}) == 1
