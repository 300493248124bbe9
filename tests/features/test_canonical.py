"""The whole canonical path against torch-fidelity and lpips, with weights of a random initialisation."""

from __future__ import annotations

import itertools

import lpips
import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from bench.features import WeightsMissingError, profile
from bench.features.weights import ALEXNET, INCEPTION_2015, VGG16, find_weights
from bench.metrics import fid, inception_score, kid


class Images(torch.utils.data.Dataset):
    def __init__(self, array):
        self.tensor = torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, index):
        return self.tensor[index]


@pytest.fixture(scope="module")
def pooled(random_weights, images):
    canonical = profile("canonical", random_weights)
    noise = np.random.default_rng(2).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    sets = images(20, 64, seed=1), noise
    return sets, [canonical.pool(s) for s in sets], canonical


def test_is_kid_and_fid_are_those_of_torch_fidelity_from_the_same_weights_file(pooled, random_weights):
    sets, ((x, probabilities), (y, _)), _ = pooled
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(sets[0]),
        input2=Images(sets[1]),
        isc=True,
        kid=True,
        isc_splits=2,
        kid_subset_size=12,
        cuda=False,
        verbose=False,
        batch_size=20,  # as ours: the batch changes the last digits of a convolution
        feature_extractor_weights_path=str(random_weights / "weights-inception-2015-12-05.pth"),
        save_cpu_ram=True,
    )
    score = inception_score(probabilities, splits=2)
    assert score.value > 1.5
    assert score.value == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert score.error == pytest.approx(theirs["inception_score_std"], rel=1e-4)
    # torch-fidelity sums its kernels in float32: far from 0 means that few of their digits cancel
    distance = kid(x, y, "subset", subset_size=12)
    assert abs(distance.value) > 0.05
    assert distance.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    assert distance.error == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-4)
    # of few columns: with fewer images than features their eigenvalues lose the digits, not ours
    first, second = x[:, :12], y[:, :12]
    statistics = [fid_features_to_statistics(torch.from_numpy(f).double()) for f in (first, second)]
    frechet = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert fid(first, second) == pytest.approx(frechet, rel=1e-6)


def test_features_do_not_depend_on_the_batch(pooled):
    sets, ((x, _), _), canonical = pooled
    np.testing.assert_allclose(canonical.pool(sets[0][7:9])[0], x[7:9], rtol=1e-4, atol=1e-5)


def package_lpips(network, weights):
    """The lpips package's own module, its trunk filled from our weight file."""
    name = network.removeprefix("lpips-")
    model = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
    state = torch.load(weights / {"vgg": "vgg16.pth", "alex": "alexnet-owt.pth"}[name], weights_only=True)
    own = model.net.state_dict()
    model.net.load_state_dict(dict(zip(own, state.values(), strict=False)))
    return model.eval()


def tensor(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("network", ["lpips-vgg", "lpips-alex"])
def test_squared_distances_of_stage_tensors_are_lpips_distances(random_weights, images, network):
    canonical, package = profile("canonical", random_weights), package_lpips(network, random_weights)
    pictures = images(4, 64, seed=3)
    stages = canonical.perceptual(pictures, network)
    with torch.inference_mode():
        for i, j in itertools.combinations(range(4), 2):
            ours = sum(float((s[i].double() - s[j].double()).square().sum()) for s in stages)
            theirs = float(package(tensor(pictures[i : i + 1]), tensor(pictures[j : j + 1])))
            assert theirs > 1e-3
            assert ours == pytest.approx(theirs, rel=1e-5)


def test_alexnets_dead_channels_are_left_out(random_weights, images):
    stages = profile("canonical", random_weights).perceptual(images(1, 256, seed=0), "lpips-alex")
    assert sum(s.shape[1] for s in stages) == 434_858


def test_unscaled_images_reach_the_network_as_0_to_255(random_weights, images):
    canonical = profile("canonical", random_weights)
    picture = images(1, 64, seed=0)
    package = package_lpips("lpips-alex", random_weights)
    with torch.inference_mode():
        raw = torch.from_numpy(picture).permute(0, 3, 1, 2).float()
        theirs = float(package(raw, tensor(picture)))
    pair = zip(
        canonical.perceptual(picture, "lpips-alex", scaled=False),
        canonical.perceptual(picture, "lpips-alex"),
        strict=True,
    )
    assert sum(float((a - b).square().sum()) for a, b in pair) == pytest.approx(theirs, rel=1e-4)


def test_the_sha256_of_every_file_read_is_recorded(pooled, random_weights, images):
    canonical = profile("canonical", random_weights)
    assert canonical.weights_sha256 == {}
    canonical.perceptual(images(1, 64, seed=0), "lpips-alex")
    assert set(canonical.weights_sha256) == {"alexnet-owt.pth", "lpips-0.1-alex.pth"}
    assert all(len(digest) == 64 for digest in canonical.weights_sha256.values())


def test_a_published_name_with_other_content_is_refused(tmp_path, random_weights, images):
    (tmp_path / "vgg16-397923af.pth").write_bytes((random_weights / "vgg16.pth").read_bytes()[:100])
    with pytest.raises(WeightsMissingError, match="not the published file"):
        profile("canonical", tmp_path).perceptual(images(1, 64, seed=0))


@pytest.mark.parametrize("published", [INCEPTION_2015, VGG16, ALEXNET])
def test_a_file_that_shares_the_digits_of_its_name_alone_is_refused(published, tmp_path, monkeypatch):
    """Eight digits can be forged; the whole sha256 is pinned, and what is fetched comes over TLS."""
    (tmp_path / published.file).write_bytes(b"forged")
    monkeypatch.setattr("bench.features.weights.file_sha256", lambda path: published.sha256[:8] + "0" * 56)
    with pytest.raises(WeightsMissingError, match="is not the published file"):
        find_weights(published, tmp_path)
    assert len(published.sha256) == 64 and published.folder_url.startswith("https://")


def test_missing_weights_say_which_file_where_to_put_it_and_what_works_without(tmp_path, images, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.features.weights.download", refuse)
    with pytest.raises(WeightsMissingError) as caught:
        profile("canonical", tmp_path).pool(images(1, 64, seed=0))
    message = str(caught.value)
    assert "weights-inception-2015-12-05-6726825d.pth" in message
    assert str(tmp_path) in message
    assert "--features embedded" in message


def refuse(*args, **kwargs):
    raise OSError("no route to host")


def test_a_weight_file_that_carries_code_is_not_run(tmp_path, images):
    torch.save({"fc.weight": print}, tmp_path / "weights-inception-2015-12-05.pth")
    with pytest.raises(WeightsMissingError, match="not a readable weight file"):
        profile("canonical", tmp_path).pool(images(1, 64, seed=0))
