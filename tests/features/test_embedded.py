"""The embedded profile: real ImageNet weights, no download."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import timm
import torch

from bench.features import PROFILES, FeatureInputError, profile
from bench.features.embedded import embedded_weights


@pytest.fixture(scope="module")
def embedded():
    return profile("embedded")


def test_pool_gives_1280_features_and_1000_probabilities(embedded, images):
    features, probabilities = embedded.pool(images(3, 96, seed=0))
    assert (features.shape, features.dtype) == ((3, 1280), np.float32)
    assert (probabilities.shape, probabilities.dtype) == ((3, 1000), np.float64)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)


def test_the_weights_fit_their_network_and_see_what_is_in_an_image(embedded):
    # a ball of a golf ball's look: white, round, dimpled, on grass; ImageNet class 574 is golf ball
    side = 224
    y, x = np.mgrid[:side, :side]
    radius = np.hypot(y - 112, x - 112)
    image = np.empty((side, side, 3))
    image[:] = (60, 130, 50)
    image += np.random.default_rng(0).normal(0, 14, (side, side, 1))
    shade = 235 - 0.35 * np.hypot(y - 70, x - 70)
    dimples = 14 * (np.hypot((y % 14) - 7, (x + 7 * ((y // 14) % 2)) % 14 - 7) < 5)
    image[radius < 80] = np.repeat((shade - dimples)[..., None], 3, axis=2)[radius < 80]
    _, probabilities = embedded.pool(image.clip(0, 255).astype(np.uint8)[None])
    assert 574 in np.argsort(probabilities[0])[-5:]


def test_stage_tensors_are_channel_normalised_and_averaged_over_positions(embedded, images):
    pictures = images(2, 64, seed=1)
    stages = embedded.perceptual(pictures)
    assert len(stages) == 7
    for stage in stages:  # at every position the channels have length 1, so the mean over positions is 1
        np.testing.assert_allclose(stage.square().sum(dim=1).numpy(), 1.0, atol=1e-4)


def test_the_stages_are_those_of_timms_network(embedded, images):
    picture = images(1, 64, seed=1)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = torch.load(embedded_weights(), map_location="cpu", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    seen = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        network(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 127.5 - 1)
    for ours, theirs in zip(embedded.perceptual(picture), seen, strict=True):
        unit = theirs / theirs.norm(dim=1, keepdim=True)
        positions = theirs.shape[2] * theirs.shape[3]
        wanted = unit.permute(0, 2, 3, 1).reshape(1, -1) / positions**0.5
        np.testing.assert_allclose(ours, wanted, atol=1e-5)


def test_weights_are_recorded_by_their_sha256(embedded, images):
    embedded.pool(images(1, 64, seed=0))
    ((name, digest),) = embedded.weights_sha256.items()
    assert digest.startswith(name.removesuffix(".pth").rsplit("-", 1)[1])


def test_building_leaves_the_global_random_state_alone(images):
    before = torch.get_rng_state()
    profile("embedded").pool(images(1, 64, seed=0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 3, 8, 8), np.uint8)]
)
def test_other_than_uint8_rgb_batches_are_refused(embedded, wrong):
    with pytest.raises(FeatureInputError, match="images must be"):
        embedded.pool(wrong)


def test_unknown_profiles_and_networks_list_the_known(embedded, images):
    with pytest.raises(ValueError, match=", ".join(PROFILES)):
        profile("clip")
    with pytest.raises(ValueError, match="embedded-stages"):
        embedded.perceptual(images(1, 64, seed=0), "lpips-vgg")


def test_importing_metrics_and_features_loads_no_heavy_library():
    code = (
        "import sys, bench.metrics, bench.metrics.bootstrap, bench.features;"
        "print([m for m in ('torch', 'numba', 'scipy', 'pandas', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
