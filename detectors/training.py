"""The training loop of all supervised detectors.

A step is a function of its index and of the state before it: its batch, its augmentation, its dropout and
its learning rate come from named streams and pure schedules. So a fit that was killed goes on from its last
checkpoint to the same bytes as one that was not.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.adapters import Batch, DetectorSplit
from bench.context import Context
from detectors.augmentation import augment
from detectors.checkpoint import Progress, load_checkpoint, save_checkpoint
from detectors.determinism import deterministic
from detectors.inference import forward, to_input
from detectors.losses import segmentation_loss
from detectors.schedules import learning_rate
from detectors.supervised import Plan, SegmentationParams

if TYPE_CHECKING:
    from detectors.supervised import Supervised

CHECKPOINT_SECONDS = 60.0


class TrainingFailed(RuntimeError):
    """Training cannot go on: what happened, at which step, and what to change."""


class OutOfTime(RuntimeError):
    """The deadline came before the end; the checkpoint in the scratch folder keeps what was done."""


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
        done = load_checkpoint(ctx.scratch, network, optimizer, ctx.device)
        _write_settings(adapter, data, out)
        _loop(adapter, data, plan, network, optimizer, done, out, ctx)


def _loop(
    adapter: Supervised,
    data: DetectorSplit,
    plan: Plan,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    done: Progress,
    out: Path,
    ctx: Context,
) -> None:
    saved = time.monotonic()
    best = ctx.scratch / "best.safetensors"
    batch = _draw(adapter, data, plan, done.step, ctx)
    while done.step < plan.steps:
        step = done.step
        network.train()
        with ctx.torch_stream("step", step):
            loss = _step(adapter, network, optimizer, batch, plan, step, ctx.device)
        # The next batch is read while the accelerator still works; `item` waits for it.
        batch = _draw(adapter, data, plan, step + 1, ctx)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingFailed(
                f"the loss of '{adapter.name}' is {value} at step {step + 1} of {plan.steps}; "
                "lower its learning_rate, or use precision=fp32"
            )
        done = done.after_step(value)
        if done.selects and (done.step % plan.epoch == 0 or done.step == plan.steps):
            _recalibrate(adapter, data, plan, network, ctx)
            done = _offer(done, plan, network, out, best, ctx)
        try:
            ctx.progress(done.step, plan.steps, f"loss {value:.3f}")
            _check_deadline(adapter, done, plan, ctx)
        except BaseException:
            save_checkpoint(ctx.scratch, network, optimizer, done)
            raise
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save_checkpoint(ctx.scratch, network, optimizer, done)
            saved = time.monotonic()
    _recalibrate(adapter, data, plan, network, ctx)
    _finish(adapter, done, plan, network, out, best)


def _draw(adapter: Supervised, data: DetectorSplit, plan: Plan, step: int, ctx: Context) -> Batch:
    draw = data.draw_anomalies if plan.anomalies_only else data.draw
    batch = draw(ctx.rng("batch", step), adapter.params.batch_size)
    return augment(batch, adapter.params.augmentation, ctx.rng("augment", step))


def _step(
    adapter: Supervised,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    plan: Plan,
    step: int,
    device: str,
) -> Tensor:
    params = adapter.params
    rate = learning_rate(params.schedule, params.learning_rate, step, plan.steps, plan.epoch)
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


def _offer(done: Progress, plan: Plan, network: nn.Module, out: Path, best: Path, ctx: Context) -> Progress:
    """Let the harness score the model of this epoch, and keep the best. A protocol that answers None once
    keeps the last model, and is not asked again."""
    _write_model(network, out)
    score = ctx.validate(out)
    if score is not None and done.is_better(score):
        shutil.copyfile(out / "model.safetensors", best.with_suffix(".part"))
        best.with_suffix(".part").replace(best)
    return done.after_epoch(score)


def _recalibrate(
    adapter: Supervised, data: DetectorSplit, plan: Plan, network: nn.Module, ctx: Context
) -> None:
    """Set the running statistics of batch norm to their plain means over some training batches.

    After a few dozen steps running means still hold early, wrong values, and maps at prediction are flat.
    """
    count = adapter.params.recalibration_batches
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not count or not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    network.train()
    for index in range(count):
        draw = data.draw_anomalies if plan.anomalies_only else data.draw
        batch = draw(ctx.rng("recalibration", index), adapter.params.batch_size)
        with torch.no_grad(), ctx.torch_stream("recalibration", index):
            forward(network, to_input(batch.images, adapter, ctx.device), adapter)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _check_deadline(adapter: Supervised, done: Progress, plan: Plan, ctx: Context) -> None:
    if ctx.deadline is not None and time.time() > ctx.deadline and done.step < plan.steps:
        raise OutOfTime(
            f"'{adapter.name}' reached its deadline at step {done.step} of {plan.steps}; "
            "run it again to go on from there"
        )


def _write_settings(adapter: Supervised, data: DetectorSplit, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "params.json").write_text(adapter.params.model_dump_json(indent=1))
    (out / "classes.json").write_text(json.dumps(data.classes))


def _write_model(network: nn.Module, out: Path) -> None:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, out / "model.safetensors")


def _finish(
    adapter: Supervised, done: Progress, plan: Plan, network: nn.Module, out: Path, best: Path
) -> None:
    if done.best_epoch is None:
        _write_model(network, out)
    else:
        shutil.copyfile(best, out / "model.safetensors")
    epochs = -(-plan.steps // plan.epoch)
    selection = {
        "rule": "last" if done.best_epoch is None else "best score of the harness",
        "epoch": epochs if done.best_epoch is None else done.best_epoch,
        "score": None if done.best_epoch is None else done.scores[done.best_epoch - 1],
        "scores": list(done.scores),
    }
    (out / "selection.json").write_text(json.dumps(selection, indent=1))
    params = adapter.params
    rows = ["step,loss,learning_rate"]
    for step, loss in enumerate(done.losses):
        rate = learning_rate(params.schedule, params.learning_rate, step, plan.steps, plan.epoch)
        rows.append(f"{step + 1},{loss:.6g},{rate:.6g}")
    (out / "trace.csv").write_text("\n".join(rows) + "\n")
