"""How the supervised detectors learn and predict: batches, augmentation, losses and logits of a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
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
    deterministic,
    learning_rate,
    recalibrate,
    train_model,
)
from detectors.losses import segmentation_loss
from detectors.training_params import Normalisation, SegmentationParams, TrainingParams, TrainingSchedule

STRIDE = 32
REMEDY = "lower its learning_rate, or use precision=fp32"


def train(
    owner: str,
    params: TrainingParams,
    schedule: TrainingSchedule,
    build: Callable[[], nn.Module],
    normalisation: Normalisation,
    data: DetectorSplit,
    out: Path,
    ctx: Context,
) -> None:
    """Train the network that `build` makes on `data` and write the model folder `out`."""
    with deterministic(ctx.device):
        with ctx.torch_stream("init"):
            network = build()
        network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
        steps = _Steps(params, schedule, network, normalisation, data, ctx)
        out.mkdir(parents=True, exist_ok=True)
        (out / "params.json").write_text(params.model_dump_json(indent=1))
        (out / "classes.json").write_text(json.dumps(data.classes))
        fit = Fit(
            name=owner,
            steps=schedule.steps,
            step=steps.take,
            state={"network": network},
            optimizers={"optimizer": steps.optimizer},
            remedy=REMEDY,
        )
        train_model(
            fit, network, out, ctx, epoch=schedule.epoch, learning_rate=steps.rate, settle=steps.settle
        )


class _Steps:
    """The steps of one fit."""

    def __init__(
        self,
        params: TrainingParams,
        schedule: TrainingSchedule,
        network: nn.Module,
        normalisation: Normalisation,
        data: DetectorSplit,
        ctx: Context,
    ) -> None:
        self.params, self.schedule, self.data, self.ctx = params, schedule, data, ctx
        self.network, self.normalisation = network, normalisation
        self.optimizer = _optimizer(params, network)
        self.batches = ReadAhead(self._draw)

    def take(self, step: int) -> Losses:
        batch = self.batches.take(step)
        self.network.train()
        with self.ctx.torch_stream("step", step):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(step)
            loss = _loss(self.params, self._logits(batch), batch, self.ctx.device)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        self.batches.prepare(step + 1)
        return {"loss": loss.item()}  # waits for the accelerator

    def rate(self, step: int) -> float:
        params, schedule = self.params, self.schedule
        steps = schedule.horizon or schedule.steps
        return learning_rate(params.schedule, params.learning_rate, step, steps, schedule.epoch)

    def settle(self) -> None:
        recalibrate(self.network, self.params.recalibration_batches, self._pass)

    def _pass(self, index: int) -> None:
        batch = self._examples("recalibration", index)
        with torch.no_grad(), self.ctx.torch_stream("recalibration", index):
            self._logits(batch)

    def _logits(self, batch: Batch) -> list[Tensor]:
        x = to_input(batch.images, self.normalisation, self.ctx.device)
        return forward(self.network, x, self.params.precision)

    def _draw(self, step: int) -> Batch:
        return augment(self._examples("batch", step), self.params.augmentation, self.ctx.rng("augment", step))

    def _examples(self, stream: str, index: int) -> Batch:
        draw = self.data.draw_anomalies if self.schedule.anomalies_only else self.data.draw
        return draw(self.ctx.rng(stream, index), self.params.batch_size)


def augment(batch: Batch, name: str, rng: np.random.Generator) -> Batch:
    """The batch with each example and its mask turned alike: by `none`, `flips` or `dihedral`."""
    if name == "none" or batch.masks is None:
        return batch
    images, masks = batch.images.copy(), batch.masks.copy()
    # Half a turn and a mirror make all four flips.
    turns = 2 * rng.integers(2, size=len(images)) if name == "flips" else rng.integers(4, size=len(images))
    mirrored = rng.integers(2, size=len(images)).astype(bool)
    for i, (turn, mirror) in enumerate(zip(turns, mirrored, strict=True)):
        for array in (images, masks):
            turned = np.rot90(array[i], turn)
            array[i] = turned[:, ::-1] if mirror else turned
    return batch._replace(images=images, masks=masks)


def _loss(params: TrainingParams, outputs: list[Tensor], batch: Batch, device: str) -> Tensor:
    """The sum of the losses of all outputs, a scalar."""
    if isinstance(params, SegmentationParams):
        assert batch.masks is not None
        target = torch.from_numpy(batch.masks).to(device).long()
        losses = [
            segmentation_loss(
                params.loss, o, target, gamma=params.focal_gamma, anomaly_weight=params.anomaly_weight
            )
            for o in outputs
        ]
    else:
        losses = [F.cross_entropy(o, torch.from_numpy(batch.labels).to(device)) for o in outputs]
    return torch.stack(losses).sum()


def _optimizer(params: TrainingParams, network: nn.Module) -> torch.optim.Optimizer:
    if params.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), params.learning_rate, momentum=0.9, weight_decay=params.weight_decay
        )
    return torch.optim.Adam(network.parameters(), params.learning_rate, weight_decay=params.weight_decay)


def infer(
    task: str,
    params: TrainingParams,
    build: Callable[[int], nn.Module],
    normalisation: Normalisation,
    model: Path,
    images: Iterable[Batch],
    ctx: Context,
) -> Iterator[Prediction]:
    """Predictions of the model in the folder `model`, one per batch, in order; `build` makes its network for
    a number of classes."""
    state = load_file(model / "model.safetensors", device="cpu")
    classes = len(json.loads((model / "classes.json").read_text()))
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        network = build(classes)
    network.load_state_dict(state)
    network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last).eval()
    for batch in images:
        with torch.inference_mode():
            x = to_input(batch.images, normalisation, ctx.device)
            logits = forward(network, x, params.precision)[0]
            if task == "classification":
                prediction = Prediction(logits=logits.cpu().numpy())
            else:
                prediction = Prediction(amap=torch.softmax(logits, dim=1)[:, 1].cpu().numpy())
        yield prediction


def to_input(images: np.ndarray, normalisation: Normalisation, device: str) -> Tensor:
    """Images uint8 [B, H, W, 3] as the network's input float32 (B, 3, H, W), channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in normalisation)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def forward(network: nn.Module, x: Tensor, precision: str) -> list[Tensor]:
    """The logits of the network, float32, maps at the size of x; first the output, then auxiliary ones."""
    with _autocast(precision, x.device.type):
        height, width = x.shape[-2:]
        # Encoders halve five times; the papers' 256 and 512 need no padding.
        padded = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        output = network(padded)
    outputs = output if isinstance(output, list) else [output]
    return [o.float()[..., :height, :width] if o.dim() == 4 else o.float() for o in outputs]


def _autocast(precision: str, device_type: str) -> AbstractContextManager:
    return torch.autocast(device_type, torch.bfloat16, enabled=precision == "bf16")
