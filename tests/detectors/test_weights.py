"""Pretrained weights: which file is loaded, and what is said when it is not there."""

import hashlib
from pathlib import Path

import pytest
import torch

from bench.download import hub_checkpoints
from bench.errors import BenchError
from detectors.pretrained import TORCHVISION, embedded_weights, torchvision_weights, verified
from detectors.resnet34 import ResNet34
from detectors.segmenters.unet import UNet

NAME = "resnet34-b627a593.pth"


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_the_hub_folder_is_where_torch_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert str(hub_checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"
        monkeypatch.delenv(name)
    assert str(hub_checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"


@pytest.mark.parametrize(
    ("detector", "overrides", "instead"),
    [
        (ResNet34, {}, "--set resnet34.init_weights=random"),
        (UNet, {"encoder_weights": "imagenet"}, "--set unet.encoder_weights=embedded"),
    ],
)
def test_missing_weights_are_told_with_file_place_and_way_out(no_hub, detector, overrides, instead) -> None:
    [sentence] = detector.configure(None, overrides).missing(no_hub)
    assert NAME in sentence
    assert str(no_hub) in sentence
    assert instead in sentence
    assert "\n" not in sentence


def test_nothing_is_missing_where_the_file_lies_in_either_folder(no_hub: Path) -> None:
    (no_hub / NAME).touch()
    assert ResNet34.configure().missing(no_hub) == []
    hub = hub_checkpoints()
    hub.mkdir(parents=True)
    (hub / NAME).touch()
    assert ResNet34.configure().missing(None) == []
    assert torchvision_weights("resnet34", None) == hub / NAME


def test_what_starts_from_random_or_embedded_weights_misses_nothing(no_hub: Path) -> None:
    assert ResNet34.configure(None, {"init_weights": "random"}).missing(no_hub) == []
    assert UNet.configure().missing(no_hub) == []
    assert UNet.configure("quick").missing(no_hub) == []


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"half a download")
    with pytest.raises(ValueError, match=r"is damaged: .* not b627a593; download it again"):
        verified(path)


def test_a_file_with_the_digest_of_its_name_is_loaded_into_the_encoder(
    no_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        state = resnet18(weights=None).state_dict()
    torch.save(state, no_hub / "weights")
    name = f"resnet18-{hashlib.sha256((no_hub / 'weights').read_bytes()).hexdigest()[:8]}.pth"
    (no_hub / "weights").rename(no_hub / name)
    monkeypatch.setitem(TORCHVISION, "resnet18", name)
    with torch.random.fork_rng():
        unet = UNet.configure("tiny", {"encoder": "resnet18", "encoder_weights": "imagenet"})
        encoder = unet.network(2, no_hub, pretrained=True).encoder.state_dict()
    assert all(torch.equal(encoder[key], value) for key, value in state.items() if not key.startswith("fc."))


def test_the_embedded_encoder_holds_the_weights_of_the_package() -> None:
    path = embedded_weights()
    assert path is not None
    file = torch.load(path, weights_only=True)
    with torch.random.fork_rng():
        unet = UNet.configure("tiny", {"encoder_weights": "embedded"})
        encoder = unet.network(2, None, pretrained=True).encoder.state_dict()
    assert torch.equal(encoder["model.conv_stem.weight"], file["_conv_stem.weight"])
    assert torch.equal(encoder["model.blocks.0.0.conv_dw.weight"], file["_blocks.0._depthwise_conv.weight"])
    assert torch.equal(encoder["model.blocks.6.0.conv_pwl.weight"], file["_blocks.15._project_conv.weight"])
    assert torch.equal(encoder["model.blocks.6.0.bn3.running_var"], file["_blocks.15._bn2.running_var"])
    assert len(encoder) == 288
    assert all(torch.equal(a, b) for a, b in zip(encoder.values(), file.values(), strict=False))


def test_embedded_weights_choose_their_encoder_and_refuse_another() -> None:
    assert UNet.configure(None, {"encoder_weights": "embedded"}).params.encoder == "tf_efficientnet_lite0"
    with pytest.raises(BenchError, match="embedded are those of encoder=tf_efficientnet_lite0"):
        UNet.configure(None, {"encoder_weights": "embedded", "encoder": "resnet34"})
    with pytest.raises(BenchError, match="encoder_weights=embedded"):
        UNet.configure(None, {"encoder_weights": "imagenet", "encoder": "tf_efficientnet_lite0"})
