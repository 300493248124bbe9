"""Unsupervised training (section 3.4), a step at a time.

A step is a function of its index and of the state before it: its batch comes from a named stream and its
learning rate from the step.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.methods.context import Context
from bench.methods.training import Fit, FitPart, Losses, TrainingFailed, run_fit
from generators.anomalyhybrid.batches import TrainingBatch, TrainingSet
from generators.anomalyhybrid.losses import PerceptualLoss, perceptual_loss, real_or_not
from generators.anomalyhybrid.network import Discriminator, Fusion, HybridGenerator
from generators.anomalyhybrid.params import AnomalyHybridParams

FIRST = 10
"""The image loss of these first steps is what later ones are compared with."""
DIVERGED = 5.0
"""A mean image loss of `FIRST` steps this many times the first ones' ends the training."""
BETAS = (0.5, 0.999)
COLUMNS = ("image", "adversarial", "discriminator")


@dataclass(frozen=True)
class Learners:
    """All that a step changes."""

    generator: HybridGenerator
    discriminator: Discriminator
    optimizers: tuple[torch.optim.Adam, torch.optim.Adam]


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
    learners = _begin(params, ctx, star)
    images = perceptual_loss(params, ctx.weights).to(ctx.device)
    run: Any = torch.compile(learners.generator) if params.compiled else learners.generator
    steps = params.total_steps(len(data))

    def step(index: int) -> Losses:
        _set_rates(learners, _rate(params, index, steps))
        examples = _to_device(data.draw(params, star, ctx.rng(f"{name}/batch", index)), ctx.device)
        values = _step(params, learners, run, images, examples, ctx.device)
        return dict(zip(COLUMNS, values, strict=True))

    part, parts = counted
    lower = f"lower learning_rate ({params.learning_rate:g})"
    milder = f"{lower} or adversarial_weight ({params.adversarial_weight:g})"
    fit = Fit(
        name=owner,
        steps=steps,
        step=step,
        state={"generator": learners.generator, "discriminator": learners.discriminator},
        optimizers={f"{i}": optimizer for i, optimizer in enumerate(learners.optimizers)},
        after_step=lambda trace: _check(owner, trace, steps, milder),
        part=FitPart(name, part * steps, parts * steps),
        remedy=lower if params.precision == "fp32" else f"{lower}, or use precision=fp32",
    )
    trace = run_fit(fit, ctx)
    _write(learners.generator, trace, out)


def _begin(params: AnomalyHybridParams, ctx: Context, star: bool) -> Learners:
    channels = 1 if star else 3
    with ctx.torch_stream("init/star" if star else "init"):
        generator, discriminator = HybridGenerator(params, channels), Discriminator(params, channels)
    for network in (generator, discriminator):
        network.to(ctx.device).to(memory_format=torch.channels_last).train()
    optimizers = tuple(
        torch.optim.Adam(network.parameters(), params.learning_rate, betas=BETAS)
        for network in (generator, discriminator)
    )
    return Learners(generator, discriminator, (optimizers[0], optimizers[1]))


def _step(
    params: AnomalyHybridParams,
    learners: Learners,
    run: Any,
    images: PerceptualLoss,
    examples: TrainingBatch,
    device: str,
) -> tuple[float, float, float]:
    """One step of the generator and one of the discriminator; the three losses of `COLUMNS`."""
    names = sorted(examples.targets)
    conditions = torch.cat([examples.conditions] * len(names))  # (2B, 5, H, W)
    targets = torch.cat([examples.targets[name] for name in names])
    with _autocast(params, device):
        fusions: dict[str, Fusion] = run(examples.conditions, examples.contents)
        fakes = torch.cat([fusions[name].image for name in names])
        judged = learners.discriminator(conditions, fakes) if params.adversarial_weight else []
        likeness = params.perceptual_weight * images(fakes, targets)
    likeness = likeness.float()
    if params.pixel_weight:
        likeness = likeness + params.pixel_weight * (fakes.float() - targets).abs().mean()
    fooling = real_or_not([v.float() for v in judged], True, params.gan) if judged else likeness.new_zeros(())
    _descend(learners.optimizers[0], likeness + params.adversarial_weight * fooling)
    if not judged:
        return likeness.item(), 0.0, 0.0
    with _autocast(params, device):
        # Eq. 3 in its conditional form: D(C, A) against D(C, G(C))
        true = learners.discriminator(conditions, targets)
        false = learners.discriminator(conditions, fakes.detach())
    telling = 0.5 * (
        real_or_not([v.float() for v in true], True, params.gan)
        + real_or_not([v.float() for v in false], False, params.gan)
    )
    _descend(learners.optimizers[1], telling)
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


def _set_rates(learners: Learners, rate: float) -> None:
    for optimizer in learners.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _check(owner: str, trace: Sequence[Losses], steps: int, remedy: str) -> None:
    """Raise TrainingFailed where images have become far worse than at the start."""
    if len(trace) < 2 * FIRST:
        return
    images = [losses["image"] for losses in (*trace[:FIRST], *trace[-FIRST:])]
    first, last = sum(images[:FIRST]) / FIRST, sum(images[FIRST:]) / FIRST
    if last > DIVERGED * first:
        raise TrainingFailed(
            f"the image loss of '{owner}' diverges: {last:.3g} at step {len(trace)} of {steps}, "
            f"{first:.3g} at the start; {remedy}"
        )


def _to_device(examples: TrainingBatch, device: str) -> TrainingBatch:
    def moved(x: Tensor) -> Tensor:
        return x.to(device, memory_format=torch.channels_last)

    contents, targets = (
        {name: moved(x) for name, x in images.items()} for images in (examples.contents, examples.targets)
    )
    return TrainingBatch(moved(examples.conditions), contents, targets)


def _write(generator: HybridGenerator, trace: Sequence[Losses], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()},
        out / "generator.safetensors",
    )
    rows = ["step," + ",".join(COLUMNS)]
    rows += [
        f"{number},{','.join(f'{losses[name]:.6g}' for name in COLUMNS)}"
        for number, losses in enumerate(trace, start=1)
    ]
    (out / "trace.csv").write_text("\n".join(rows) + "\n")
