"""How the supervised detectors learn: batches, losses and learning rates of a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods import Batch, DetectorSplit
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
from detectors.augmentation import augment
from detectors.inference import forward, to_input
from detectors.losses import segmentation_loss
from detectors.supervised import Plan, SegmentationParams

if TYPE_CHECKING:
    from detectors.supervised import Supervised

REMEDY = "lower its learning_rate, or use precision=fp32"


def train(adapter: Supervised, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Train the adapter's network on `data` and write the model folder `out`."""
    if not any(data.count(pool) for pool in ("real", "generated")):
        raise TrainingFailed(
            f"'{adapter.name}' has no anomalous example to train on; add a real or generated pool"
        )
    plan = adapter.plan(data)
    with deterministic(ctx.device):
        with ctx.torch_stream("init"):
            network = adapter.network(len(data.classes), ctx.weights, pretrained=True)
        network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
        optimizer = _optimizer(adapter, network)
        _write_settings(adapter, data, out)
        steps = _Steps(adapter, data, plan, network, optimizer, ctx)
        fit = Fit(
            name=adapter.name,
            steps=plan.steps,
            step=steps.take,
            state={"network": network},
            optimizers={"optimizer": optimizer},
            remedy=REMEDY,
        )
        train_model(fit, network, out, ctx, epoch=plan.epoch, learning_rate=steps.rate, settle=steps.settle)


class _Steps:
    """The steps of one fit."""

    def __init__(
        self,
        adapter: Supervised,
        data: DetectorSplit,
        plan: Plan,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        ctx: Context,
    ) -> None:
        self.adapter, self.data, self.plan, self.ctx = adapter, data, plan, ctx
        self.network, self.optimizer = network, optimizer
        self.batches = ReadAhead(self._draw)

    def take(self, step: int) -> Losses:
        batch = self.batches.take(step)
        self.network.train()
        with self.ctx.torch_stream("step", step):
            loss = _step(self.adapter, self.network, self.optimizer, batch, self.rate(step), self.ctx.device)
        self.batches.prepare(step + 1)
        return {"loss": loss.item()}  # waits for the accelerator

    def rate(self, step: int) -> float:
        params, plan = self.adapter.params, self.plan
        steps = plan.horizon or plan.steps
        return learning_rate(params.schedule, params.learning_rate, step, steps, plan.epoch)

    def settle(self) -> None:
        recalibrate(self.network, self.adapter.params.recalibration_batches, self._pass)

    def _pass(self, index: int) -> None:
        draw = self.data.draw_anomalies if self.plan.anomalies_only else self.data.draw
        batch = draw(self.ctx.rng("recalibration", index), self.adapter.params.batch_size)
        with torch.no_grad(), self.ctx.torch_stream("recalibration", index):
            forward(self.network, to_input(batch.images, self.adapter, self.ctx.device), self.adapter)

    def _draw(self, step: int) -> Batch:
        draw = self.data.draw_anomalies if self.plan.anomalies_only else self.data.draw
        batch = draw(self.ctx.rng("batch", step), self.adapter.params.batch_size)
        return augment(batch, self.adapter.params.augmentation, self.ctx.rng("augment", step))


def _step(
    adapter: Supervised,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    device: str,
) -> Tensor:
    params = adapter.params
    for group in optimizer.param_groups:
        group["lr"] = rate
    outputs = forward(network, to_input(batch.images, adapter, device), adapter)
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
    loss = torch.stack(losses).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _optimizer(adapter: Supervised, network: nn.Module) -> torch.optim.Optimizer:
    params = adapter.params
    if params.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), params.learning_rate, momentum=0.9, weight_decay=params.weight_decay
        )
    return torch.optim.Adam(network.parameters(), params.learning_rate, weight_decay=params.weight_decay)


def _write_settings(adapter: Supervised, data: DetectorSplit, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "params.json").write_text(adapter.params.model_dump_json(indent=1))
    (out / "classes.json").write_text(json.dumps(data.classes))
