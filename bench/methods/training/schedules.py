"""Learning rates as pure functions of the step, so that a resumed run needs no scheduler state."""

import math
from collections.abc import Sequence

MILESTONES, DECAY = (0.8, 0.9), 0.2
POLY_POWER, POLY_FLOOR = 0.9, 1e-4
COSINE_FLOOR = 1e-5
RISE, RISE_FROM = 0.25, 0.04


def learning_rate(
    schedule: str,
    peak: float,
    step: int,
    steps: int,
    epoch: int,
    milestones: Sequence[float] = MILESTONES,
    decay: float = DECAY,
) -> float:
    """The learning rate of step `step` (from 0) of `steps`, with epochs of `epoch` steps.

    multistep: AnomalyDiffusion's and DRAEM's, constant within an epoch, times `decay` at each of the
    `milestones`, shares of the whole. poly: MMSegmentation's schedule_80k. cosine: SeaS's LFD.
    one_cycle: Smith & Topin 2019, with a linear rise and a cosine fall.
    """
    if schedule == "multistep":
        passed = sum(step // epoch >= milestone * steps / epoch for milestone in milestones)
        return peak * decay**passed
    if schedule == "poly":
        floor = min(POLY_FLOOR, peak)
        return (peak - floor) * (1 - step / steps) ** POLY_POWER + floor
    if schedule == "cosine":
        floor = min(COSINE_FLOOR, peak)
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * step / steps))
    rise = max(1, round(RISE * steps))
    if step < rise:
        return peak * (RISE_FROM + (1 - RISE_FROM) * step / rise)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))
