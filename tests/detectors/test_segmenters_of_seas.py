"""LFD and UPerNet: the networks, losses and schedules that SeaS and its released code name."""

import hashlib
import math
from pathlib import Path

import pytest
import timm
import torch

from bench.errors import BenchError
from bench.methods import DetectorSplit
from bench.methods.training import learning_rate
from detectors.losses import ohem
from detectors.pretrained import TORCHVISION, embedded_weights
from detectors.segmenters.lfd import LFD
from detectors.segmenters.lfd_network import LFDNetwork
from detectors.segmenters.lfd_network import build as build_lfd
from detectors.segmenters.upernet import UPerNet


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_lfd_has_the_parameters_that_its_parts_add_up_to() -> None:
    def conv(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    norm = 2 * 128
    stem_and_first = 64 * 147 + 128 + 4 * (64 * 64 * 9 + 128)
    second = 64 * 128 * 9 + 3 * 128 * 128 * 9 + 64 * 128 + 5 * 256
    contexts = 2 * (2 * (128 * 5 + 128) + conv(128, 128) + norm)
    detail = stem_and_first + conv(64, 128) + norm
    fusion = conv(256, 128) + norm + conv(128, 1)
    head = conv(128, 128) + norm + conv(128, 2)
    counted = sum(p.numel() for p in LFDNetwork().parameters())
    assert counted == stem_and_first + second + contexts + detail + fusion + head == 936_067


def test_lfds_context_sees_the_image_at_half_its_height_and_a_quarter_of_its_width() -> None:
    network, seen = LFDNetwork().eval(), []
    network.semantic.register_forward_hook(
        lambda module, given, out: seen.append((given[0].shape, out.shape))
    )
    assert network(torch.zeros(1, 3, 64, 128)).shape == (1, 2, 64, 128)
    assert seen == [((1, 3, 32, 32), (1, 128, 4, 4))]


def test_both_parts_of_lfd_start_from_the_same_imagenet_weights(tmp_path: Path, monkeypatch) -> None:
    from torchvision.models import resnet18

    state = resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "weights")
    name = f"resnet18-{hashlib.sha256((tmp_path / 'weights').read_bytes()).hexdigest()[:8]}.pth"
    (tmp_path / "weights").rename(tmp_path / name)
    monkeypatch.setitem(TORCHVISION, "resnet18", name)
    network = build_lfd(2, "imagenet", tmp_path)
    for trunk in (network.semantic, network.detail[0]):
        held = trunk.state_dict()
        assert len(held) in (30, 60)
        assert all(torch.equal(value, state[key]) for key, value in held.items())


def test_both_parts_of_an_embedded_lfd_start_from_the_first_stages_of_efficientnet_lite0() -> None:
    path = embedded_weights()
    assert path is not None
    theirs = torch.load(path, map_location="cpu", weights_only=True).values()
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    whole.load_state_dict(dict(zip(whole.state_dict(), theirs, strict=True)))
    network = build_lfd(2, "embedded", None).eval()
    images = torch.rand(1, 3, 64, 128)
    with torch.inference_mode():
        x = whole.bn1(whole.conv_stem(images))
        outputs = [x := block(x) for block in whole.blocks[:3]]
        assert torch.equal(network.detail[0](images), outputs[1])
        assert torch.equal(network.semantic[0](images), outputs[2])
        assert network(images).shape == (1, 2, 64, 128)
    assert [o.shape for o in outputs[1:]] == [(1, 24, 16, 32), (1, 40, 8, 16)]


def test_lfd_stops_at_epoch_100_of_a_schedule_of_150(blobs: DetectorSplit) -> None:
    examples = sum(blobs.count(pool) for pool in ("normal", "real", "generated"))
    schedule = LFD.configure(None, {"init_weights": "random"}).training_schedule(blobs)
    assert schedule.epoch == -(-examples // 8)
    assert (schedule.steps, schedule.horizon) == (100 * schedule.epoch, 150 * schedule.epoch)
    assert LFD.configure("visa").training_schedule(blobs).steps == 10 * schedule.epoch
    with pytest.raises(BenchError, match="last_epoch 200 comes after"):
        LFD.configure(None, {"last_epoch": 200})


def test_the_rate_of_a_fit_follows_the_whole_schedule_though_it_ends_before(
    blobs, context, tmp_path: Path
) -> None:
    LFD.configure("tiny").fit(blobs, tmp_path / "model", context())
    rows = (tmp_path / "model" / "trace.csv").read_text().splitlines()[1:]
    rates = [float(row.split(",")[2]) for row in rows]
    assert rates == pytest.approx([learning_rate("cosine", 0.01, step, 6, 2) for step in range(4)], rel=1e-5)


def test_cosine_falls_from_the_peak_through_the_middle_to_its_floor() -> None:
    assert learning_rate("cosine", 0.01, 0, 1000, 10) == 0.01
    assert learning_rate("cosine", 0.01, 500, 1000, 10) == pytest.approx((0.01 + 1e-5) / 2)
    assert learning_rate("cosine", 0.01, 999, 1000, 10) == pytest.approx(1e-5, rel=0.01)


def test_weights_of_the_hard_pixels_scale_them_but_not_the_mean() -> None:
    logits = torch.tensor([[0.75, 0.9], [0.25, 0.1]]).log().view(1, 2, 1, 2)
    target = torch.tensor([0, 1]).view(1, 1, 2)
    by_hand = (-math.log(0.75) + 4 * -math.log(0.1)) / 2
    assert ohem(logits, target, torch.tensor([1.0, 4.0])).item() == pytest.approx(by_hand, rel=1e-6)


def test_upernet_with_a_resnet50_gives_two_classes_at_the_size_of_the_image() -> None:
    upernet = UPerNet.configure(None, {"encoder_weights": None, "decoder_channels": 256})
    network = upernet.network(2, None, pretrained=True).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)
    assert sum(p.numel() for p in network.encoder.parameters()) == 23_508_032


@pytest.mark.parametrize(
    ("detector", "file", "instead"),
    [
        (LFD, "resnet18-f37072fd.pth", "--set lfd.init_weights=embedded"),
        (UPerNet, "resnet50-0676ba61.pth", "--set upernet.encoder_weights=embedded"),
    ],
)
def test_missing_weights_are_told_with_the_way_out(
    tmp_path: Path, monkeypatch, detector, file, instead
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    [sentence] = detector.configure().missing(tmp_path)
    assert file in sentence and instead in sentence
    assert detector.configure("quick").missing(tmp_path) == []
