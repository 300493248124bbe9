import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.methods import TrainSplit
from generators.anomalyhybrid import AnomalyHybrid, AnomalyHybridStar
from generators.anomalyhybrid.conditions import (
    Networks,
    canny,
    canny_threshold,
    depth_anything,
    depth_scale,
    load_depth_anything,
    open_views,
    shading,
    write_conditions,
)
from generators.anomalyhybrid.sources import DEPTH_ANYTHING, PIDINET, find_depth_anything

SHARED = Path(os.environ.get("DEFECTBENCH_SHARED", Path(__file__).parents[4] / "shared"))


def test_canny_draws_the_outline_of_a_disc(picture: np.ndarray) -> None:
    edges = canny(picture, 100.0) > 0
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 32, x - 32)
    rim = np.abs(radius - 64 * np.sqrt(0.12)) < 2.5
    assert edges[rim].mean() > 0.15
    assert edges[radius > 28].mean() < 0.01


def test_the_canny_threshold_of_flat_images_is_above_their_noise(split: TrainSplit) -> None:
    assert canny_threshold(split.categories["plate"].normal.pool) >= 40


def test_shading_is_smoothed_brightness(picture: np.ndarray) -> None:
    depth = shading(np.stack([picture, np.full_like(picture, 255)]))
    assert depth.shape == (2, 64, 64)
    np.testing.assert_allclose(depth[1], 1, atol=1e-5)
    assert depth[0, 20, 32] > depth[0, 5, 5] > depth[0, 31, 32]


def test_the_data_sets_depth_becomes_nearness_and_back(split: TrainSplit) -> None:
    category = split.categories["plate"]
    scale, pool = depth_scale("anomalyhybrid", category), category.normal.pool
    depth = np.asarray(pool.depth[0])
    near = scale.nearness(depth)
    assert near[32, 32] > near[2, 2]  # the plate lies nearer than the ground
    np.testing.assert_allclose(scale.metric(near), depth, rtol=1e-5)
    holed = depth.copy()
    holed[:4] = 0
    assert np.abs(scale.nearness(holed)[:4]).max() == 0


def test_depth_from_a_data_set_without_depth_is_refused(
    split: TrainSplit, context_for, tmp_path: Path
) -> None:
    from bench.methods import Images

    plate = split.categories["plate"]
    bare = replace(plate, normal=Images(replace(plate.normal.pool, depth=None)))
    params = AnomalyHybridStar.configure("tiny").params
    with pytest.raises(
        BenchError, match=r"take depth from the data set, and plate has none; .*depth=shading"
    ):
        write_conditions("anomalyhybrid_star", params, bare, tmp_path, context_for())


def test_a_fit_takes_the_conditions_of_the_data_set_where_they_are_there(
    split, context_for, tmp_path: Path
) -> None:
    adapter = AnomalyHybrid.configure("tiny", {"steps": 1})
    categories = {}
    for name, category in split.categories.items():
        out = tmp_path / "derived" / name
        out.mkdir(parents=True)
        adapter.derive(category, out, context_for("generator.derive"))
        categories[name] = replace(category, derived=out)
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    adapter.fit(split, tmp_path / "own", context_for(scratch="a"))
    adapter.fit(TrainSplit(categories, 64), tmp_path / "shared", context_for(scratch="b"))
    assert (tmp_path / "own/conditions/plate/real.edges.npy").is_file()
    assert not (tmp_path / "shared/conditions").exists()
    own, shared = (tmp_path / name / "rgb/generator.safetensors" for name in ("own", "shared"))
    assert own.read_bytes() == shared.read_bytes()


def test_conditions_stand_beside_their_images(split, context_for, tmp_path: Path) -> None:
    params = AnomalyHybrid.configure("tiny").params
    write_conditions("anomalyhybrid", params, split.categories["plate"], tmp_path, context_for())
    views = open_views(split.categories["plate"], tmp_path)["real"]
    stack = views.stack(1)
    assert stack.shape == (5, 64, 64) and stack.dtype == np.float32
    np.testing.assert_allclose(stack[:3].transpose(1, 2, 0) * 255, views.images[1], atol=1e-3)
    assert set(np.unique(stack[4])) <= {0.0, 1.0}


def test_depth_anything_is_loaded_from_a_local_folder_and_gives_nearness(tmp_path, picture) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    backbone = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=518, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
        apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=24, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path / DEPTH_ANYTHING)
    found = find_depth_anything(tmp_path)
    assert found == tmp_path / DEPTH_ANYTHING
    depth = depth_anything(load_depth_anything(found), np.stack([picture, picture[::-1]]), "cpu")
    assert depth.shape == (2, 64, 64)
    np.testing.assert_allclose(depth.min(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(depth.max(axis=(1, 2)), 1, atol=1e-6)
    adapter = AnomalyHybrid.configure(None, {"edges": "canny"})
    digest = adapter.weights_digest(tmp_path)
    with (found / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    assert len({digest, adapter.weights_digest(tmp_path), ""}) == 3
    assert AnomalyHybrid.configure("quick").weights_digest(tmp_path) == ""


def test_what_the_papers_options_miss_is_said_with_the_option_that_does_without(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    sentences = AnomalyHybrid.configure(None, {"edges": "canny"}).missing(tmp_path)
    assert [s.rsplit("--set ")[-1] for s in sentences] == [
        "anomalyhybrid.depth=shading", "anomalyhybrid.perceptual=embedded"
    ]  # fmt: skip
    assert AnomalyHybrid.configure("quick").missing(tmp_path) == []


def test_pidinets_edges_become_the_edge_condition(split, context_for, tmp_path: Path) -> None:
    folder = SHARED / "weights" / "pidinet"
    if not (folder / PIDINET).is_file():
        pytest.skip(f"the authors' checkpoint is not in {folder}")
    params = AnomalyHybrid.configure("tiny", {"edges": "pidinet"}).params
    networks = Networks(params, context_for(weights=folder))
    plate = np.asarray(split.categories["plate"].normal.pool.images[:3])
    edges = networks.edges(plate, 0.0)
    assert edges.shape == (3, 64, 64) and edges.dtype == np.uint8
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 32, x - 32)
    assert edges[:, np.abs(radius - 25.6) < 3].mean() > 2 * edges[:, radius < 15].mean()
    assert edges[:, [0, -1]].mean() < edges[:, np.abs(radius - 25.6) < 3].mean()  # no edge along the border
