"""Unsupervised training (section 3.4), a step at a time.

A step is a function of its index and of the state before it: its batch comes from a named stream and its
learning rate from the step. So a fit that was killed goes on from its last checkpoint to the same bytes.
"""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.methods.context import Context
from bench.methods.training.spill import spilled
from generators.anomalyhybrid.batches import Examples, TrainingSet
from generators.anomalyhybrid.losses import PerceptualLoss, perceptual_loss, real_or_not
from generators.anomalyhybrid.network import Discriminator, Fusion, HybridGenerator
from generators.anomalyhybrid.params import AnomalyHybridParams

CHECKPOINT_SECONDS = 60.0
FIRST = 10
"""The image loss of these first steps is what later ones are compared with."""
DIVERGED = 5.0
"""A mean image loss of `FIRST` steps this many times the first ones' ends the training."""
BETAS = (0.5, 0.999)
COLUMNS = ("image", "adversarial", "discriminator")


class TrainingFailed(RuntimeError):
    """Training cannot go on: what happened, at which step, and what to change."""


class OutOfTime(RuntimeError):
    """The deadline came before the end; the checkpoint in the scratch folder keeps what was done."""


@dataclass
class State:
    """All that a step changes."""

    generator: HybridGenerator
    discriminator: Discriminator
    optimizers: tuple[torch.optim.Adam, torch.optim.Adam]
    losses: list[tuple[float, float, float]]


def train(
    owner: str,
    params: AnomalyHybridParams,
    data: TrainingSet,
    out: Path,
    ctx: Context,
    *,
    star: bool,
    counted: tuple[int, int],
) -> None:
    """Train one generator and write `generator.safetensors` and `trace.csv` into `out`.

    `star`: AnomalyHybrid*, which gives depth and edges. `counted` = (part, parts) of the fit, for progress.
    """
    name = "star" if star else "rgb"
    checkpoint = ctx.scratch / f"{name}.pt"
    state = _begin(params, ctx, star)
    if checkpoint.exists():
        _load(checkpoint, state, ctx.device)
    images = perceptual_loss(params, ctx.weights).to(ctx.device)
    run: Any = torch.compile(state.generator) if params.compiled else state.generator
    steps = params.total_steps(len(data))
    saved = time.monotonic()
    while len(state.losses) < steps:
        step = len(state.losses)
        _set_rates(state, _rate(params, step, steps))
        examples = _to_device(data.draw(params, star, ctx.rng(f"{name}/batch", step)), ctx.device)
        with spilled(ctx):
            values = _step(params, state, run, images, examples, ctx.device)
        _check(owner, params, [*state.losses, values], step, steps)
        state.losses.append(values)
        try:
            part, parts = counted
            note = f"{name}: image loss {values[0]:.3f}, discriminator {values[2]:.3f}"
            ctx.progress(part * steps + step + 1, parts * steps, note)
            if ctx.out_of_time and step + 1 < steps:
                raise OutOfTime(
                    f"'{owner}' reached its deadline at step {step + 1} of {steps}; "
                    "run it again to go on from there"
                )
        except BaseException:
            _save(checkpoint, state)
            raise
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(checkpoint, state)
            saved = time.monotonic()
    _save(checkpoint, state)
    _write(state, out)


def _begin(params: AnomalyHybridParams, ctx: Context, star: bool) -> State:
    channels = 1 if star else 3
    with ctx.torch_stream("init/star" if star else "init"):
        generator, discriminator = HybridGenerator(params, channels), Discriminator(params, channels)
    for network in (generator, discriminator):
        network.to(ctx.device).to(memory_format=torch.channels_last).train()
    optimizers = tuple(
        torch.optim.Adam(network.parameters(), params.learning_rate, betas=BETAS)
        for network in (generator, discriminator)
    )
    return State(generator, discriminator, (optimizers[0], optimizers[1]), [])


def _step(
    params: AnomalyHybridParams,
    state: State,
    run: Any,
    images: PerceptualLoss,
    examples: Examples,
    device: str,
) -> tuple[float, float, float]:
    """One step of the generator and one of the discriminator; the three losses of `COLUMNS`."""
    names = sorted(examples.targets)
    conditions = torch.cat([examples.conditions] * len(names))  # (2B, 5, H, W)
    targets = torch.cat([examples.targets[name] for name in names])
    with _autocast(params, device):
        made: dict[str, Fusion] = run(examples.conditions, examples.contents)
        fakes = torch.cat([made[name].image for name in names])
        judged = state.discriminator(conditions, fakes) if params.adversarial_weight else []
        likeness = params.perceptual_weight * images(fakes, targets)
    likeness = likeness.float()
    if params.pixel_weight:
        likeness = likeness + params.pixel_weight * (fakes.float() - targets).abs().mean()
    fooling = real_or_not([v.float() for v in judged], True, params.gan) if judged else likeness.new_zeros(())
    _descend(state.optimizers[0], likeness + params.adversarial_weight * fooling)
    if not judged:
        return likeness.item(), 0.0, 0.0
    with _autocast(params, device):
        # Eq. 3 in its conditional form: D(C, A) against D(C, G(C))
        true = state.discriminator(conditions, targets)
        false = state.discriminator(conditions, fakes.detach())
    telling = 0.5 * (
        real_or_not([v.float() for v in true], True, params.gan)
        + real_or_not([v.float() for v in false], False, params.gan)
    )
    _descend(state.optimizers[1], telling)
    return likeness.item(), fooling.item(), telling.item()


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _autocast(params: AnomalyHybridParams, device: str) -> AbstractContextManager[Any]:
    if params.precision == "fp32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def _rate(params: AnomalyHybridParams, step: int, steps: int) -> float:
    """Constant, then linearly towards 0, as pix2pixHD's niter and niter_decay."""
    constant = params.constant_share * steps
    if step < constant:
        return params.learning_rate
    return params.learning_rate * (steps - step) / (steps - constant)


def _set_rates(state: State, rate: float) -> None:
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _check(
    owner: str, params: AnomalyHybridParams, losses: list[tuple[float, float, float]], step: int, steps: int
) -> None:
    """Raise TrainingFailed where a loss is no number, or images have become far worse than at the start."""
    where = f"at step {step + 1} of {steps}"
    mend = f"lower learning_rate ({params.learning_rate:g})"
    for column, value in zip(COLUMNS, losses[-1], strict=True):
        if not math.isfinite(value):
            extra = ", or use precision=fp32" if params.precision != "fp32" else ""
            raise TrainingFailed(f"the {column} loss of '{owner}' is {value} {where}; {mend}{extra}")
    if len(losses) < 2 * FIRST:
        return
    first, last = (sum(row[0] for row in part) / FIRST for part in (losses[:FIRST], losses[-FIRST:]))
    if last > DIVERGED * first:
        raise TrainingFailed(
            f"the image loss of '{owner}' diverges: {last:.3g} {where}, {first:.3g} at the start; {mend} or "
            f"adversarial_weight ({params.adversarial_weight:g})"
        )


def _to_device(examples: Examples, device: str) -> Examples:
    def moved(x: Tensor) -> Tensor:
        return x.to(device, memory_format=torch.channels_last)

    contents, targets = (
        {name: moved(x) for name, x in held.items()} for held in (examples.contents, examples.targets)
    )
    return Examples(moved(examples.conditions), contents, targets)


def _save(path: Path, state: State) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "generator": state.generator.state_dict(),
            "discriminator": state.discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
            "losses": state.losses,
        },
        part,
    )
    part.replace(path)


def _load(path: Path, state: State, device: str) -> None:
    held = torch.load(path, map_location=device, weights_only=True)
    state.generator.load_state_dict(held["generator"])
    state.discriminator.load_state_dict(held["discriminator"])
    for optimizer, values in zip(state.optimizers, held["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    state.losses[:] = [tuple(row) for row in held["losses"]]


def _write(state: State, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    network: nn.Module = state.generator
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()},
        out / "generator.safetensors",
    )
    rows = ["step," + ",".join(COLUMNS)]
    rows += [f"{step},{','.join(f'{v:.6g}' for v in row)}" for step, row in enumerate(state.losses, start=1)]
    (out / "trace.csv").write_text("\n".join(rows) + "\n")
