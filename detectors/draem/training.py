"""Trains DRAEM: one optimizer, both sub-networks, one step after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.methods import DetectorSplit
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
from detectors.draem.examples import Examples, examples, resized
from detectors.draem.losses import map_loss, reconstruction_loss
from detectors.draem.network import DraemNetwork
from detectors.draem.prediction import to_input
from detectors.pseudo import texture_source

if TYPE_CHECKING:
    from detectors.draem import Draem


def train(adapter: Draem, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Train on `data` and write the model folder `out`."""
    params = adapter.params
    if not any(data.share(name) for name in ("pseudo", "real", "generated")):
        raise TrainingFailed(
            f"'{adapter.name}' has no anomaly to train on: the shares of its split are {data.shares}; "
            "add a share of pseudo, real or generated"
        )
    epoch = -(-(params.epoch_size or data.count("normal")) // params.batch_size)
    with deterministic(ctx.device):
        with ctx.torch_stream("init"):
            network = DraemNetwork(params.reconstructive_width, params.discriminative_width, params.separate)
        network.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
        steps = _Steps(adapter, data, network, epoch, ctx)
        out.mkdir(parents=True, exist_ok=True)
        (out / "params.json").write_text(params.model_dump_json(indent=1))
        fit = Fit(
            name=adapter.name,
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
        self, adapter: Draem, data: DetectorSplit, network: DraemNetwork, epoch: int, ctx: Context
    ) -> None:
        self.params, self.data, self.network, self.epoch, self.ctx = adapter.params, data, network, epoch, ctx
        self.optimizer = torch.optim.Adam(network.parameters(), self.params.learning_rate)
        self.textures = texture_source(self.params, ctx.weights)
        self.shown = ReadAhead(lambda step: self._draw("batch", step))

    def take(self, step: int) -> Losses:
        shown = self.shown.take(step)
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        loss = self._loss(shown)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.shown.prepare(step + 1)
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

    def _loss(self, shown: Examples) -> Tensor:
        device = self.ctx.device
        masks, known = (torch.from_numpy(part).to(device) for part in (shown.masks, shown.known))
        clean, logits = self._forward(shown)
        judged = reconstruction_loss(clean, to_input(shown.clean, device), known)
        return judged + map_loss(logits, masks, self.params)

    def _forward(self, shown: Examples) -> tuple[Tensor, Tensor]:
        device = self.ctx.device
        kind = torch.device(device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.params.precision == "bf16"):
            return self.network(to_input(shown.images, device))

    def _draw(self, stream: str, index: int) -> Examples:
        size = self.params.batch_size
        drawn = self.data.draw(self.ctx.rng(stream, index), size, with_base=True)
        batch = resized(drawn, self.params.size)
        # A stream an example: what is drawn for one cannot shift with what its neighbours are.
        return examples(
            batch,
            self.params,
            self.textures,
            lambda place: self.ctx.rng(f"{stream}/example", index * size + place),
        )

    def _pass(self, index: int) -> None:
        with torch.no_grad():
            self._forward(self._draw("recalibration", index))
