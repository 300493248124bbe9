from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from bench.errors import BenchError
from bench.methods import Request, Sample, TrainSplit
from generators.anomalyhybrid import AnomalyHybrid, AnomalyHybridStar

KEEPS = {"fusion": "region", "target": "normal", "colour": "region"}


@pytest.fixture(scope="module")
def model(split: TrainSplit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of both generators."""
    from bench.methods.context import Context

    out, scratch = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("scratch")
    context = Context(0, "generator.fit", "anomalyhybrid_star", "", "cpu", scratch)
    AnomalyHybridStar.configure("tiny").fit(split, out, context)
    return out


@pytest.fixture
def draw(model: Path, split: TrainSplit, context_for):
    def samples(defect: str = "hole", count: int = 6, star: bool = False, **options: object) -> list[Sample]:
        cls = AnomalyHybridStar if star else AnomalyHybrid
        adapter = cls.configure("tiny", {"depth": "dataset", **options})
        request = Request("plate", defect, range(count))
        return list(adapter.sample(model, split, request, context_for("generator.sample")))

    return samples


def images(samples: list[Sample]) -> list[bytes]:
    return [sample.image.tobytes() for sample in samples]


@pytest.mark.parametrize("colour", ["target", "region"])
def test_the_target_stays_as_it_is_beyond_the_region(draw, colour: str) -> None:
    for sample in draw(**{**KEEPS, "colour": colour}):
        near = ndimage.binary_dilation(sample.mask, iterations=20)
        np.testing.assert_array_equal(sample.image[~near], sample.base[~near])


def test_a_mask_covers_what_changed(draw) -> None:
    for sample in draw(**KEEPS, least_change=16.0):
        change = np.abs(sample.image.astype(int) - sample.base).max(axis=2)
        assert change[sample.mask].mean() > 4 * max(change[~sample.mask].mean(), 0.5)


def test_depth_and_edge_decoders_take_turns(draw) -> None:
    both, ahd, ahe = (images(draw(decoders=which)) for which in ("both", "ahd", "ahe"))
    assert both[0::2] == ahd[0::2]
    assert both[1::2] == ahe[1::2]
    assert all(a != b for a, b in zip(ahd, ahe, strict=True))


@pytest.mark.parametrize("kind", ["mask", "merge", "remove", "replace", "tps"])
def test_each_manipulation_works_on_its_own_and_differs_from_the_others(draw, kind: str) -> None:
    own = draw(manipulations=kind)
    assert all(sample.mask.any() for sample in own)
    other = draw(manipulations="remove" if kind != "remove" else "merge")
    assert images(own) != images(other)


def test_manipulations_can_be_named_in_one_word(draw) -> None:
    assert AnomalyHybrid.configure(None, {"manipulations": "merge+tps"}).params.manipulations == (
        "merge",
        "tps",
    )
    assert len(AnomalyHybrid.configure(None, {"manipulations": "mixed"}).params.manipulations) == 5
    with pytest.raises(BenchError, match="'erase'"):
        AnomalyHybrid.configure(None, {"manipulations": "erase"})


def test_a_global_hybrid_has_the_mask_of_the_target_whose_structure_it_takes(draw, split) -> None:
    real = split.categories["plate"].anomalies["hole"]
    masks = [anomaly.mask for anomaly in real]
    for sample in draw(anomalies="global"):
        assert any(np.array_equal(sample.mask, mask) for mask in masks)


def test_a_reference_that_shows_through_belongs_to_the_mask(draw) -> None:
    """In the paper's mode the reference's colours are the condition as they are, with their anomaly."""
    areas = [sample.mask.mean() for sample in draw(colour="reference", least_change=128.0, target="normal")]
    assert min(areas) > 0
    assert all(sample.base is None for sample in draw(colour="reference"))


@pytest.mark.parametrize("normals", ["hybrid", "warped"])
def test_normal_images_have_no_mask_and_are_new(draw, split: TrainSplit, normals: str) -> None:
    held = {np.asarray(image).tobytes() for image in split.categories["plate"].normal}
    for sample in draw("good", normals=normals):
        assert sample.mask is None
        assert sample.image.tobytes() not in held


def test_the_star_gives_depth_in_the_unit_of_the_data(draw, split: TrainSplit) -> None:
    raw = np.asarray(split.categories["plate"].normal.pool.depth)
    for sample in draw(star=True, **KEEPS):
        beyond = ~ndimage.binary_dilation(sample.mask, iterations=20)
        assert sample.depth.dtype == np.float32
        assert any(np.array_equal(sample.depth[beyond], depth[beyond]) for depth in raw)
        assert raw.min() - 1 < sample.depth.min() <= sample.depth.max() < raw.max() + 1


def test_an_unknown_type_and_a_type_without_masks_are_refused(draw, model, split, context_for) -> None:
    with pytest.raises(BenchError, match="'dent'"):
        draw("dent")
    from dataclasses import replace

    from bench.methods import Anomalies

    plate = split.categories["plate"]
    empty = [
        row
        for row in range(len(plate.anomalies["stain"].pool))
        if not plate.anomalies["stain"].pool.mask(row).any()
    ]
    bare = replace(plate, anomalies={"stain": Anomalies(plate.anomalies["stain"].pool, empty)})
    adapter = AnomalyHybrid.configure("tiny")
    request = Request("plate", "stain", range(1))
    with pytest.raises(BenchError, match="every training mask of 'stain'"):
        list(adapter.sample(model, TrainSplit({"plate": bare}, 64), request, context_for("generator.sample")))


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BenchError, match="colour must be target or region"):
        AnomalyHybrid.configure(None, {"fusion": "region"})


def test_the_star_refuses_depth_that_was_not_measured() -> None:
    with pytest.raises(BenchError, match="depth must be dataset"):
        AnomalyHybridStar.configure(None, {"depth": "shading"})
