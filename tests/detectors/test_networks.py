"""The networks are the ones that the papers name."""

import ast

import numpy as np
import pytest
import torch

from detectors.draem.subnetwork import DraemSubnetwork
from detectors.resnet34 import ResNet34
from detectors.segmenters.bisenet_v2 import BiSeNetV2
from detectors.segmenters.bisenet_v2_network import CONFIG, BiSeNetV2Network
from detectors.segmenters.unet_draem import UNetDraem
from detectors.training import forward, to_input


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_draems_sub_network_at_base_64_has_28_million_parameters() -> None:
    # Two 3x3 convolutions a level with their batch norms, six levels down, five up, and the head.
    def conv(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + 3 * outputs

    w = [64, 128, 256, 512, 512, 512]
    down = sum(conv(a, b) + conv(b, b) for a, b in zip([3, *w], w, strict=False))
    ups = [(512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 128, 64), (64, 64, 64)]
    up = sum(conv(a, b) + conv(b + skip, b) + conv(b, b) for a, skip, b in ups)
    head = 9 * 64 * 2 + 2
    counted = sum(p.numel() for p in DraemSubnetwork().parameters())
    assert counted == down + up + head
    assert counted == pytest.approx(28e6, rel=0.02)


def test_draems_sub_network_gives_two_classes_at_the_size_of_the_image() -> None:
    assert DraemSubnetwork(base_width=2)(torch.zeros(2, 3, 64, 96)).shape == (2, 2, 64, 96)


def test_draems_sub_network_starts_from_normal_weights_of_deviation_one_fiftieth() -> None:
    network = DraemSubnetwork(base_width=16)
    weights = torch.cat([p.flatten() for n, p in network.down.named_parameters() if n.endswith("0.weight")])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


def test_bisenet_trains_four_auxiliary_heads_as_mmsegmentation_does() -> None:
    from mmengine.config import Config
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    network = BiSeNetV2Network()
    model = Config.fromfile(CONFIG).model.to_dict()
    model.pop("data_preprocessor")
    text = repr(model).replace("SyncBN", "BN").replace("'num_classes': 19", "'num_classes': 2")
    theirs = MODELS.build(ast.literal_eval(text))
    theirs.backbone.load_state_dict(network.backbone.state_dict())
    for ours, their in zip(network.heads, [theirs.decode_head, *theirs.auxiliary_head], strict=True):
        their.load_state_dict(ours.state_dict())
    for part in (network, theirs):
        part.train()
        for module in part.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.p = 0.0
    images = torch.rand(2, 3, 64, 64)
    target = (torch.rand(2, 64, 64) > 0.5).long()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=t[None])) for t in target]
    for sample in samples:
        sample.set_metainfo({"img_shape": (64, 64)})
    expected = {k: v for k, v in theirs.loss(images, samples).items() if "loss" in k}
    outputs = network(images)
    assert len(outputs) == len(expected) == 5
    for logits, loss in zip(outputs, expected.values(), strict=True):
        assert torch.nn.functional.cross_entropy(logits, target).item() == pytest.approx(
            loss.item(), rel=1e-5
        )


def test_resnet34_names_the_classes_of_the_split() -> None:
    network = ResNet34.configure().network(7, None, pretrained=False).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    assert sum(p.numel() for p in network.parameters()) == 21_284_672 + 513 * 7


@pytest.mark.parametrize("side", [40, 64])
def test_a_map_has_the_size_of_its_image_at_any_size(side: int) -> None:
    adapter = UNetDraem.configure("tiny")
    network = adapter.network(2, None, True).eval()
    images = np.zeros((1, side, side, 3), np.uint8)
    x = to_input(images, adapter.normalisation, "cpu")
    assert forward(network, x, "fp32")[0].shape == (1, 2, side, side)


def test_images_are_normalised_as_the_papers_say() -> None:
    white = np.full((1, 2, 2, 3), 255, np.uint8)
    assert torch.equal(to_input(white, UNetDraem.configure().normalisation, "cpu"), torch.ones(1, 3, 2, 2))
    imagenet = to_input(white, BiSeNetV2.configure().normalisation, "cpu")[0, :, 0, 0]
    assert imagenet.tolist() == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
