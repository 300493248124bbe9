"""The speed table of docs/measured/anomalyhybrid.md: seconds and memory of a training step, beside its FLOPs.

    python docs/measured/anomalyhybrid_speed.py [--device cuda] [--threads 2]

The floor is the time that as many FLOPs take in this machine's best matrix product. CUDA rows are 256 x 256
in the ways that the options name; on a CPU they are the preset quick and the paper's network.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.methods.context import Context
from generators.anomalyhybrid import AnomalyHybrid
from generators.anomalyhybrid.batches import TrainingBatch
from generators.anomalyhybrid.losses import perceptual_loss
from generators.anomalyhybrid.training import _begin, _step

WIDE: dict[str, object] = {"perceptual": "embedded"}
CPU: tuple[tuple[str | None, int, dict[str, object]], ...] = (("quick", 128, {}), (None, 256, WIDE))
CUDA = tuple(
    (None, 256, {**WIDE, "batch_size": batch, "precision": precision, "compiled": compiled})
    for batch in (1, 16, 64)
    for precision, compiled in (("fp32", False), ("bf16", False), ("bf16", True))
)


def timed(run: Callable[[], object], device: str, least: float = 5.0) -> float:
    """Seconds a call, after two to warm up."""
    for _ in range(2):
        run()
    calls, began = 0, time.perf_counter()
    while True:
        run()
        calls += 1
        if device != "cpu":
            torch.cuda.synchronize()
        if time.perf_counter() - began > least:
            return (time.perf_counter() - began) / calls


def best_flops(device: str, precision: str) -> float:
    """FLOPs a second of a matrix product of 4096 (2048 on a CPU)."""
    side = 2048 if device == "cpu" else 4096
    kind = torch.float32 if precision == "fp32" else torch.bfloat16
    one, other = (torch.rand(side, side, device=device, dtype=kind) for _ in range(2))
    return 2 * side**3 / timed(lambda: one @ other, device, 2.0)


def row(preset: str | None, side: int, options: dict[str, object], device: str) -> str:
    params = AnomalyHybrid.configure(preset, options).params
    state = _begin(params, Context(0, "generator.fit", "anomalyhybrid", "", device, Path()), False)
    loss = perceptual_loss(params, None).to(device)
    run = torch.compile(state.generator) if params.compiled else state.generator
    draw = torch.Generator().manual_seed(0)
    conditions, colour = (
        torch.rand(params.batch_size, channels, side, side, generator=draw).to(
            device, memory_format=torch.channels_last
        )
        for channels in (5, 3)
    )
    both = dict.fromkeys(("ahd", "ahe"), colour * 2 - 1)
    examples = TrainingBatch(conditions, both, both)
    with FlopCounterMode(display=False) as counter:
        _step(params, state, state.generator, loss, examples, device)
    seconds = timed(lambda: _step(params, state, run, loss, examples, device), device)
    floor = counter.get_total_flops() / best_flops(device, params.precision)
    if device == "cpu":
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    else:
        memory = torch.cuda.max_memory_allocated() / 2**30
    setting = f"{preset or 'paper'} {side}² batch {params.batch_size} {params.precision}"
    return (
        f"{setting}{' compiled' if params.compiled else ''}: {1 / seconds:.2f} steps/s, "
        f"{params.batch_size / seconds:.2f} images/s, {counter.get_total_flops() / 1e9:.0f} GFLOP a step, "
        f"{seconds / floor:.1f} times the floor, {memory:.2f} GiB at most so far"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for preset, side, options in CPU if arguments.device == "cpu" else CUDA:
        print(row(preset, side, dict(options), arguments.device), flush=True)


if __name__ == "__main__":
    main()
