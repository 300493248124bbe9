"""Any network of torchvision or timm gives its layers, and runs no further."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.errors import BenchError
from detectors.backbones.backbone import Backbone, pretrained, stored
from detectors.patchcore.adapter import PatchCore

WRN = "wide_resnet50_2-95faca4d.pth"


@pytest.mark.parametrize(
    ("name", "layers", "shapes"),
    [
        ("resnet18", ("layer2", "layer3"), [(128, 8, 8), (256, 4, 4)]),
        ("timm/resnet18", ("layer1",), [(64, 16, 16)]),
        ("mobilenet_v3_small", ("features.3", "features.8"), [(24, 8, 8), (48, 4, 4)]),
        ("timm/vit_tiny_patch16_224", ("blocks.1", "blocks.3"), [(192, 4, 4), (192, 4, 4)]),
        ("swin_t", ("features.1", "features.3"), [(96, 16, 16), (192, 8, 8)]),
    ],
)
def test_layers_of_convolutions_and_of_tokens_become_maps(name, layers, shapes) -> None:
    assert [tuple(m.shape[1:]) for m in Backbone(name, layers)(torch.zeros(1, 3, 64, 64))] == shapes


def test_nothing_runs_after_the_last_layer() -> None:
    backbone = Backbone("resnet18", ("layer2",))
    backbone.network.layer3.register_forward_pre_hook(lambda *_: pytest.fail("layer3 ran"))
    backbone(torch.zeros(1, 3, 64, 64))


def test_what_is_stored_is_what_runs_and_gives_the_same_again(tmp_path: Path) -> None:
    backbone = Backbone("resnet18", ("layer1", "layer2"))
    state = backbone.used_state(64)
    assert {name.split(".")[0] for name in state} == {"conv1", "bn1", "layer1", "layer2"}
    save_file(state, tmp_path / "backbone.safetensors")
    again = stored("resnet18", ("layer1", "layer2"), tmp_path / "backbone.safetensors")
    images = torch.rand(2, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(backbone(images), again(images), strict=True))


def test_the_embedded_backbone_normalises_as_its_weights_were_trained() -> None:
    backbone = pretrained("timm/tf_efficientnet_lite0", ("blocks.2",), "embedded", None)
    assert backbone.mean.flatten().tolist() == [0.5] * 3
    assert Backbone("resnet18", ("layer1",)).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_weights_of_ones_own_are_taken_by_the_backbones_name(tmp_path: Path) -> None:
    network = Backbone("resnet18", ("layer1",)).network
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    loaded = pretrained("resnet18", ("layer1",), "imagenet", tmp_path).network
    assert torch.equal(loaded.conv1.weight, network.conv1.weight)
    torch.save({"conv1.weight": network.conv1.weight}, tmp_path / "resnet18.pth")
    with pytest.raises(BenchError, match=r"resnet18\.pth does not fit resnet18"):
        pretrained("resnet18", ("layer1",), "imagenet", tmp_path)


def test_missing_weights_are_told_with_file_place_and_way_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    [sentence] = PatchCore.configure().missing(tmp_path)
    assert WRN in sentence and str(tmp_path) in sentence
    assert "--set patchcore.backbone_weights=embedded" in sentence
    [sentence] = PatchCore.configure(None, {"backbone": "timm/regnety_004"}).missing(tmp_path)
    assert "regnety_004.pth or regnety_004.safetensors" in sentence
    (tmp_path / WRN).touch()
    assert PatchCore.configure().missing(tmp_path) == []
    assert PatchCore.configure("quick").missing(None) == []


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"backbone": "resnet81"}, "resnet18"),
        ({"backbone": "timm/resnet81"}, "resnet"),
        ({"backbone": "resnet18", "layers": ("layer7",)}, "layer"),
    ],
)
def test_an_unknown_network_or_layer_is_named_with_one_that_is_meant(overrides, says) -> None:
    params = PatchCore.configure(None, overrides).params
    with pytest.raises(BenchError, match=says):
        Backbone(params.backbone, params.layers)


def test_embedded_weights_choose_their_backbone_and_a_crop_fits_into_its_image() -> None:
    params = PatchCore.configure(None, {"backbone_weights": "embedded"}).params
    assert params.backbone == "timm/tf_efficientnet_lite0" and params.layers == ("blocks.2", "blocks.4")
    with pytest.raises(BenchError, match="embedded are those of"):
        PatchCore.configure("quick", {"backbone": "resnet18"})
    with pytest.raises(BenchError, match="crop 300 is larger than size 256"):
        PatchCore.configure(None, {"crop": 300})
    with pytest.raises(BenchError, match="a crop is cut from images of a size"):
        PatchCore.configure(None, {"size": None})
