"""GLASS from features to prediction: what it learns, a step of training, maps and scores.

It learns a linear adaptor of features of a frozen backbone, and a discriminator of one hidden layer or more.
A step sees normal, globally anomalous and locally anomalous features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.methods import Batch, DetectorSplit, Prediction
from bench.methods.context import Context
from bench.methods.training import Fit, Losses, ReadAhead, TrainingFailed, deterministic, train_model
from detectors.backbones.backbone import Backbone, pretrained, stored, to_input
from detectors.backbones.patches import embed, image_maps
from detectors.glass.anomalies import global_anomalies, hardest, local_anomaly, radius_of, truncated
from detectors.glass.params import GlassParams
from detectors.losses import focal
from detectors.pseudo import texture_source

ANOMALOUS = ("pseudo", "real", "generated")
SMALLEST_SCALE = 1e-3
"""Of a feature: one that never changes among normal images must not blow up where it does."""


class GlassNetwork(nn.Module):
    """Features (N, D) to adapted ones (N, D), and those to logits (N,) of being anomalous.

    `centre` (P, D) is the mean adapted feature of the normal images at each of P places; `shift` and `scale`
    (D,) are taken off and divided by before features are adapted.
    """

    centre: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, dimension: int, places: int, hidden: int, hidden_layers: int = 1) -> None:
        super().__init__()
        self.adaptor = nn.Linear(dimension, dimension)
        widths = [dimension, *[hidden] * hidden_layers]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Linear(hidden, 1, bias=False))
        self.register_buffer("centre", torch.zeros(places, dimension))
        self.register_buffer("shift", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)

    def adapt(self, features: Tensor) -> Tensor:
        return self.adaptor((features - self.shift) / self.scale)

    def discriminate(self, features: Tensor) -> Tensor:
        return self.discriminator(features)[:, 0]


def features(
    params: GlassParams, backbone: Backbone, images: np.ndarray, device: str
) -> tuple[Tensor, tuple[int, int]]:
    """Features float32 (B, h w, D) of images uint8 [B, H, W, 3], and (h, w)."""
    with torch.no_grad():
        x = to_input(images, device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=params.precision == "bf16"):
            maps = backbone(x)
        height, width = maps[0].shape[-2:]
        return embed(maps, params.embedding, params.dimension), (height, width)


def place_masks(masks: np.ndarray, shape: tuple[int, int], device: str) -> Tensor:
    """bool (B, h w) of masks bool [B, H, W]: true where any pixel of a place is."""
    pixels = torch.from_numpy(masks).to(device)[:, None].float()
    return F.adaptive_max_pool2d(pixels, shape).flatten(1) > 0


def train(owner: str, params: GlassParams, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Train on `data` and write the model folder `out`."""
    lacking = [
        what
        for what, names in (("normal image", ("normal",)), ("local anomaly", ANOMALOUS))
        if not any(data.share(name) for name in names)
    ]
    if lacking:
        raise TrainingFailed(
            f"'{owner}' has no {lacking[0]} to train on: the shares of its split are {data.shares}; "
            f"add a share of {'pseudo, real or generated' if 'local' in lacking[0] else 'normal'}"
        )
    epoch = -(-min(params.epoch_size, data.count("normal")) // params.batch_size)
    out.mkdir(parents=True, exist_ok=True)
    with deterministic(ctx.device):
        with ctx.torch_stream("init"):
            backbone = pretrained(params.backbone, params.layers, params.backbone_weights, ctx.weights)
            backbone.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
            mean, variance = _moments(params, backbone, data, ctx.device)
            network = GlassNetwork(mean.shape[1], len(mean), params.hidden, params.hidden_layers)
        network.to(torch.device(ctx.device))
        if params.standardised:
            network.shift.copy_(mean.mean(dim=0))
            network.scale.copy_(variance.sqrt().clamp(min=SMALLEST_SCALE))
        save_file(backbone.used_state(data.resolution), out / "backbone.safetensors")
        (out / "params.json").write_text(params.model_dump_json(indent=1))
        steps = _Steps(params, data, backbone, network, mean, epoch, ctx)
        fit = Fit(
            name=owner,
            steps=epoch * params.epochs,
            step=steps.take,
            state={"network": network},
            optimizers=steps.optimizers,
            remedy="lower its learning_rate, or use precision=fp32",
        )
        interval = epoch * params.validation_interval
        train_model(fit, network, out, ctx, epoch=interval, learning_rate=lambda step: params.learning_rate)


def _moments(
    params: GlassParams, backbone: Backbone, data: DetectorSplit, device: str
) -> tuple[Tensor, Tensor]:
    """Of the features of all normal images: the mean at each place, float32 (P, D), and the variance (D,).

    The adaptor is linear, so its image of the mean is the mean of adapted features, which the released code
    takes anew before each epoch from all images.
    """
    total = squares = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    for pool in data.normal.values():
        for start in range(0, len(pool), params.batch_size):
            images = np.asarray(pool.images[start : start + params.batch_size])
            values = features(params, backbone, images, device)[0].double()  # (B, P, D)
            total, squares = total + values.sum(dim=0), squares + values.square().sum(dim=(0, 1))
            count += len(images)
    mean = total / count
    variance = squares / (count * len(mean)) - mean.mean(dim=0).square()
    return mean.float(), variance.clamp(min=0).float()


def _optimizers(params: GlassParams, network: GlassNetwork) -> dict[str, torch.optim.Optimizer]:
    """Adam of the adaptor and AdamW of the discriminator."""
    rate = params.learning_rate
    return {
        "adaptor": torch.optim.Adam(network.adaptor.parameters(), rate, weight_decay=1e-5),
        "discriminator": torch.optim.AdamW(
            network.discriminator.parameters(), rate * params.discriminator_rate
        ),
    }


class _Steps:
    """The steps of one fit."""

    def __init__(
        self,
        params: GlassParams,
        data: DetectorSplit,
        backbone: Backbone,
        network: GlassNetwork,
        mean: Tensor,
        epoch: int,
        ctx: Context,
    ) -> None:
        self.params, self.data, self.ctx, self.epoch = params, data, ctx, epoch
        self.backbone, self.network, self.mean = backbone, network, mean
        self.optimizers = _optimizers(params, network)
        self.textures = texture_source(params, ctx.weights)
        self.batches = ReadAhead(self._draw)

    def take(self, step: int) -> Losses:
        network = self.network.train()
        if step % self.epoch == 0:
            with torch.no_grad():
                network.centre.copy_(network.adapt(self.mean))
        normal, local, masks = self.batches.take(step)
        loss = self._loss(step, normal, local, masks)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.batches.prepare(step + 1)
        return {"loss": loss.item()}  # waits for the accelerator

    def _loss(self, step: int, normal_images: np.ndarray, images: np.ndarray, masks: np.ndarray) -> Tensor:
        """Eq. 10: cross entropy of normal and global features, focal loss of the local images' features."""
        params, network, device = self.params, self.network, self.ctx.device
        joined = np.concatenate((normal_images, images))
        embedded, shape = features(params, self.backbone, joined, device)
        anomalous = place_masks(masks, shape, device).flatten()  # (N,), N = B h w
        normal, local = (
            network.adapt(part.flatten(0, 1)) for part in embedded.split(len(normal_images))
        )  # (N, D)
        centres = network.centre.repeat(len(images), 1)  # (N, D)
        radius = radius_of(
            torch.cat((local[~anomalous], normal)), torch.cat((centres[~anomalous], centres)), params.radius
        )
        with self.ctx.torch_stream("noise", step):
            noise = params.noise * torch.randn(normal.shape, device=device)
        _, normal_logits, global_logits = global_anomalies(
            normal, noise, centres, radius, params, network.discriminate
        )
        if params.hypothesis == "hypersphere":
            projected = truncated(local, centres, 2 * radius, 4 * radius)
            local = torch.where(anomalous[:, None], projected, local)
        logits = network.discriminate(local)
        hard = hardest(logits, anomalous, params.mining)
        # The softmax of (0, z) is the sigmoid of z.
        two_classes = torch.stack((torch.zeros_like(logits), logits), dim=1)
        return (
            F.binary_cross_entropy_with_logits(normal_logits, torch.zeros_like(normal_logits))
            + F.binary_cross_entropy_with_logits(global_logits, torch.ones_like(global_logits))
            + focal(two_classes[hard], anomalous[hard].long(), params.focal_gamma)
        )

    def _draw(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal images, anomalous ones and their masks. Both draws are of one stream, so a pseudo-anomaly is
        made of the normal image in its row."""
        params, size = self.params, self.params.batch_size
        normal = self.data.draw(self.ctx.rng("batch", step), size, of=("normal",)).images
        batch = self.data.draw(self.ctx.rng("batch", step), size, of=ANOMALOUS)
        assert batch.masks is not None
        images, masks = batch.images.copy(), batch.masks.copy()
        for row in range(size):
            if batch.pseudo is not None and batch.pseudo[row]:
                rng = self.ctx.rng("batch/example", step * size + row)
                images[row], masks[row] = local_anomaly(images[row], params, self.textures, rng)
        return normal, images, masks


def predict(model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
    """One Prediction per batch, by the model in the folder `model`."""
    # The folder knows what it was trained with; the caller's parameters might differ.
    params = GlassParams.model_validate_json((model / "params.json").read_text())
    state = load_file(model / "model.safetensors", device="cpu")
    places, dimension = state["centre"].shape
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        backbone = stored(params.backbone, params.layers, model / "backbone.safetensors")
        network = GlassNetwork(dimension, places, params.hidden, params.hidden_layers)
    network.load_state_dict(state)
    device = torch.device(ctx.device)
    backbone.to(device).to(memory_format=torch.channels_last)
    network.to(device).eval()
    for batch in images:
        with torch.inference_mode():
            embedded, shape = features(params, backbone, batch.images, ctx.device)
            logits = network.discriminate(network.adapt(embedded.flatten(0, 1)))
            patches = torch.sigmoid(logits).unflatten(0, (len(embedded), *shape))  # (B, h, w)
            side = batch.images.shape[1]
            amap = image_maps(patches, side, "amazon", params.sigma)
            scores = patches.flatten(1).amax(dim=1)
        yield Prediction(score=scores.cpu().numpy(), amap=amap.cpu().numpy())
