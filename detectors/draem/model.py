"""DRAEM from network to prediction: sub-networks, losses, steps of training, maps and scores.

Zavrtanik et al., ICCV 2021: section 3.1 and 3.2 for the networks, whose widths are the released code's, and
eq. 1 and 3 for what is minimised, L2 + SSIM of the reconstruction and the focal loss of the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.methods import Batch, DetectorSplit, Prediction
from bench.methods.context import Context
from bench.methods.training import (
    Fit,
    Losses,
    ReadAhead,
    TrainingFailed,
    deterministic,
    learning_rate,
    recalibrate,
    train_model,
)
from detectors.draem.examples import DraemBatch, examples, resized, resized_images
from detectors.draem.params import DraemParams
from detectors.draem.subnetwork import DraemSubnetwork, convolution, initialise
from detectors.losses import focal_pixels, segmentation_loss
from detectors.pseudo import texture_source

STRIDE = 32
WIDTHS = (1, 2, 4, 8, 8)
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
"""Wang et al., "Image quality assessment", 2004, with values within [0, 1]."""


class Reconstruction(nn.Module):
    """An encoder and a decoder without skip connections: images (B, 3, H, W) to images, H and W multiples
    of 16. What a defect looked like cannot pass."""

    def __init__(self, base_width: int = 128) -> None:
        super().__init__()
        widths = [base_width * factor for factor in WIDTHS]
        levels: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(zip([3, *widths], widths, strict=False)):
            levels += [nn.MaxPool2d(2)] * (level > 0)
            levels += [*convolution(inputs, outputs), *convolution(outputs, outputs)]
        for inputs, outputs in zip(widths[3::-1], [*widths[2::-1], widths[0]], strict=True):
            levels += [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                *convolution(inputs, inputs),
                *convolution(inputs, inputs),
                *convolution(inputs, outputs),
            ]
        self.body = nn.Sequential(*levels, nn.Conv2d(base_width, 3, 3, padding=1))
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


class DraemNetwork(nn.Module):
    """Images in [0, 1], (B, 3, H, W), to what they should look like, alike, and logits (B, 2, H, W).

    No gradient of the logits reaches what restores the images where the two are `separate`.
    """

    def __init__(self, reconstructive_width: int, discriminative_width: int, separate: bool = False) -> None:
        super().__init__()
        self.separate = separate
        self.reconstruct = Reconstruction(reconstructive_width)
        self.discriminate = DraemSubnetwork(channels=6, base_width=discriminative_width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        clean = self.reconstruct(padded)
        restored = clean.detach() if self.separate else clean
        logits = self.discriminate(torch.cat((restored, padded), dim=1))
        return clean[..., :height, :width].float(), logits[..., :height, :width].float()


def reconstruction_loss(output: Tensor, clean: Tensor, has_clean: Tensor) -> Tensor:
    """Mean square plus one minus mean SSIM of images (B, 3, H, W), where `has_clean` bool (B, H, W) is true.

    Elsewhere the output is taken for right, so that it has no part in either mean.
    """
    output = torch.where(has_clean[:, None], output, clean)
    return F.mse_loss(output, clean) + 1 - ssim(output, clean)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity of images (B, C, H, W), zeros beyond the border as in DRAEM's code."""
    means = _blurred(torch.stack((x, y, x * x, y * y, x * y)))  # (5, B, C, H, W)
    mx, my, xx, yy, xy = means
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    likeness = (2 * mx * my + C1) * (2 * cov + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return likeness.mean()


def _blurred(maps: Tensor) -> Tensor:
    """The maps (..., H, W) under a Gaussian window of 11 x 11."""
    rows, columns = (_window(side).to(maps) for side in maps.shape[-2:])
    return rows @ maps @ columns


@lru_cache(maxsize=8)
def _window(side: int) -> Tensor:
    """The window along one axis as a symmetric matrix, (side, side): on a CPU its products are several times
    as fast as convolutions of one channel."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    away = torch.arange(side)[:, None] - torch.arange(side)[None, :]
    inside = away.abs() <= WINDOW // 2
    return torch.where(
        inside, (weights / weights.sum())[(away + WINDOW // 2).clamp(0, WINDOW - 1)], 0.0
    ).float()


def map_loss(logits: Tensor, masks: Tensor, params: DraemParams) -> Tensor:
    """The loss of logits (B, 2, H, W) against masks bool (B, H, W); DRAEM's is focal, mean over all pixels.

    With a cutoff, anomalous pixels whose probability is at most that count as nothing (AnoGen's
    train_DRAEM.py).
    """
    target = masks.long()
    if params.confidence_cutoff is None:
        return segmentation_loss(params.loss, logits, target, gamma=params.focal_gamma, anomaly_weight=1.0)
    doubtful = masks & (torch.softmax(logits.detach(), dim=1)[:, 1] <= params.confidence_cutoff)
    return focal_pixels(logits, target, params.focal_gamma).masked_fill(doubtful, 0.0).mean()


def train(owner: str, params: DraemParams, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Train on `data` and write the model folder `out`."""
    if not any(data.share(name) for name in ("pseudo", "real", "generated")):
        raise TrainingFailed(
            f"'{owner}' has no anomaly to train on: the shares of its split are {data.shares}; "
            "add a share of pseudo, real or generated"
        )
    epoch = -(-(params.epoch_size or data.count("normal")) // params.batch_size)
    with deterministic(ctx.device):
        with ctx.torch_stream("init"):
            network = DraemNetwork(params.reconstructive_width, params.discriminative_width, params.separate)
        network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
        steps = _Steps(params, data, network, epoch, ctx)
        out.mkdir(parents=True, exist_ok=True)
        (out / "params.json").write_text(params.model_dump_json(indent=1))
        fit = Fit(
            name=owner,
            steps=epoch * params.epochs,
            step=steps.take,
            state={"network": network},
            optimizers={"optimizer": steps.optimizer},
            remedy="lower its learning_rate, or use precision=fp32",
        )
        interval = epoch * params.validation_interval
        train_model(fit, network, out, ctx, epoch=interval, learning_rate=steps.rate, settle=steps.settle)


class _Steps:
    """The steps of one fit."""

    def __init__(
        self, params: DraemParams, data: DetectorSplit, network: DraemNetwork, epoch: int, ctx: Context
    ) -> None:
        self.params, self.data, self.network, self.epoch, self.ctx = params, data, network, epoch, ctx
        self.optimizer = torch.optim.Adam(network.parameters(), self.params.learning_rate)
        self.textures = texture_source(self.params, ctx.weights)
        self.batches = ReadAhead(lambda step: self._draw("batch", step))

    def take(self, step: int) -> Losses:
        batch = self.batches.take(step)
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        loss = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.batches.prepare(step + 1)
        return {"loss": loss.item()}  # waits for the accelerator

    def rate(self, step: int) -> float:
        params = self.params
        return learning_rate(
            params.schedule,
            params.learning_rate,
            step,
            self.epoch * params.epochs,
            self.epoch,
            params.milestones,
            params.decay,
        )

    def settle(self) -> None:
        recalibrate(self.network, self.params.recalibration_batches, self._pass)

    def _loss(self, batch: DraemBatch) -> Tensor:
        device = self.ctx.device
        masks, has_clean = (torch.from_numpy(part).to(device) for part in (batch.masks, batch.has_clean))
        clean, logits = self._forward(batch)
        judged = reconstruction_loss(clean, to_input(batch.clean, device), has_clean)
        return judged + map_loss(logits, masks, self.params)

    def _forward(self, batch: DraemBatch) -> tuple[Tensor, Tensor]:
        device = self.ctx.device
        kind = torch.device(device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.params.precision == "bf16"):
            return self.network(to_input(batch.images, device))

    def _draw(self, stream: str, index: int) -> DraemBatch:
        size = self.params.batch_size
        batch = self.data.draw(self.ctx.rng(stream, index), size, with_base=True)
        # A stream per example: what is drawn for one cannot shift with what its neighbours are.
        return examples(
            resized(batch, self.params.size),
            self.params,
            self.textures,
            lambda row: self.ctx.rng(f"{stream}/example", index * size + row),
        )

    def _pass(self, index: int) -> None:
        with torch.no_grad():
            self._forward(self._draw("recalibration", index))


def predict(model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
    """One Prediction per batch, by the model in the folder `model`."""
    # The folder knows what it was trained with; the caller's parameters might differ.
    params = DraemParams.model_validate_json((model / "params.json").read_text())
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        network = DraemNetwork(params.reconstructive_width, params.discriminative_width)
    network.load_state_dict(load_file(model / "model.safetensors", device="cpu"))
    network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last).eval()
    kind = torch.device(ctx.device).type
    for batch in images:
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=params.precision == "bf16"):
            height, width = batch.images.shape[1:3]
            logits = network(to_input(resized_images(batch.images, params.size), ctx.device))[1]
            maps = torch.softmax(logits, dim=1)[:, 1]
            scores = image_scores(maps, params.score_window)
            if params.size is not None:
                maps = F.interpolate(maps[:, None], (height, width), mode="bilinear")[:, 0]
            prediction = Prediction(score=scores.cpu().numpy(), amap=maps.cpu().numpy())
        yield prediction


def to_input(images: np.ndarray, device: str) -> Tensor:
    """Images uint8 [B, H, W, 3] as float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    return x.contiguous(memory_format=torch.channels_last)


def image_scores(maps: Tensor, window: int) -> Tensor:
    """The highest mean of maps (B, H, W) over `window` x `window` pixels, zeros beyond the border: (B,).

    As in test_DRAEM.py, with 21.
    """
    means = F.avg_pool2d(maps[:, None], window, stride=1, padding=window // 2)
    return means.flatten(1).amax(dim=1)
