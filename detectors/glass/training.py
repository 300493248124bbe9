"""Trains GLASS: normal, globally anomalous and locally anomalous features, one step after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from bench.methods import DetectorSplit
from bench.methods.context import Context
from bench.methods.training import Fit, Losses, ReadAhead, TrainingFailed, deterministic, train_model
from detectors.backbones.backbone import Backbone, pretrained
from detectors.glass.features import features, place_masks
from detectors.glass.local import local_anomaly
from detectors.glass.network import GlassNetwork
from detectors.glass.synthesis import global_anomalies, hardest, radius_of, truncated
from detectors.losses import focal
from detectors.pseudo import texture_source

if TYPE_CHECKING:
    from detectors.glass import Glass, GlassParams

ANOMALOUS = ("pseudo", "real", "generated")
SMALLEST_SCALE = 1e-3
"""Of a feature: one that never changes among normal images must not blow up where it does."""


def train(adapter: Glass, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Train on `data` and write the model folder `out`."""
    params = adapter.params
    lacking = [
        what
        for what, names in (("normal image", ("normal",)), ("local anomaly", ANOMALOUS))
        if not any(data.share(name) for name in names)
    ]
    if lacking:
        raise TrainingFailed(
            f"'{adapter.name}' has no {lacking[0]} to train on: the shares of its split are {data.shares}; "
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
        save_file(backbone.used_state(params.size or data.resolution), out / "backbone.safetensors")
        (out / "params.json").write_text(params.model_dump_json(indent=1))
        steps = _Steps(params, data, backbone, network, mean, epoch, ctx)
        fit = Fit(
            name=adapter.name,
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
            each = features(params, backbone, images, device)[0].double()  # (B, P, D)
            total, squares = total + each.sum(dim=0), squares + each.square().sum(dim=(0, 1))
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
        self.shown = ReadAhead(self._draw)

    def take(self, step: int) -> Losses:
        network = self.network.train()
        if step % self.epoch == 0:
            with torch.no_grad():
                network.centre.copy_(network.adapt(self.mean))
        normal, local, masks = self.shown.take(step)
        loss = self._loss(step, normal, local, masks)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.shown.prepare(step + 1)
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
        _, said_normal, said_global = global_anomalies(
            normal, noise, centres, radius, params, network.discriminate
        )
        if params.hypothesis == "hypersphere":
            held = truncated(local, centres, 2 * radius, 4 * radius)
            local = torch.where(anomalous[:, None], held, local)
        said = network.discriminate(local)
        hard = hardest(said, anomalous, params.mining)
        two_classes = torch.stack((torch.zeros_like(said), said), dim=1)  # softmax of (0, z) is sigmoid of z
        return (
            F.binary_cross_entropy_with_logits(said_normal, torch.zeros_like(said_normal))
            + F.binary_cross_entropy_with_logits(said_global, torch.ones_like(said_global))
            + focal(two_classes[hard], anomalous[hard].long(), params.focal_gamma)
        )

    def _draw(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal images, anomalous ones and their masks. Both draws are of one stream, so a pseudo-anomaly is
        made of the normal image at its place."""
        params, size = self.params, self.params.batch_size
        normal = self.data.draw(self.ctx.rng("batch", step), size, of=("normal",)).images
        batch = self.data.draw(self.ctx.rng("batch", step), size, of=ANOMALOUS)
        assert batch.masks is not None
        images, masks = batch.images.copy(), batch.masks.copy()
        for place in range(size):
            if batch.pseudo is not None and batch.pseudo[place]:
                rng = self.ctx.rng("batch/example", step * size + place)
                images[place], masks[place] = local_anomaly(images[place], params, self.textures, rng)
        return normal, images, masks
