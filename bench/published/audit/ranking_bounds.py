"""Which average precision can stand beside which best F1, and which IoU: bounds that hold for every ranking.

A ranking orders N > 0 positives and any number of negatives (pixels or images; ties count as one step). After
a step with recall R and precision P, F1 = 2PR / (P + R). AP sums P over the steps, each times its gain of
recall (scikit-learn's average_precision_score). F is the best F1, r = F / (2 - F).

Highest AP. No step has F1 above F, so P <= F R / (2R - F) wherever 2R > F; that is below 1 from R = r on. So
P(R) <= g(R) = min(1, F R / (2R - F)), and g does not rise. A step from recall a to b adds
(b - a) P(b) <= (b - a) g(b) <= the integral of g from a to b, and in all

    AP <= r + integral from r to 1 of F R / (2R - F) dR = r + (F / 2)(1 - r) + (F^2 / 2) ln((2 - F) / F).

Lowest AP. Some step has F1 = F: recall R, precision P, so t = R N positives and m = t (1 - P) / P negatives
so far. The i-th of these positives stands behind at most m negatives, so its step's precision is at least
i / (m + i), which rises with i; the sum over i, divided by N, is at least the integral

    integral from 0 to R of x / (x + c) dx = R - c ln((R + c) / c), c = R (1 - P) / P,
    which is R h(P), h(P) = 1 - ((1 - P) / P) ln(1 / (1 - P)), and R = F P / (2P - F).

P is free from r (where R = 1) to 1, so AP >= the least R h(P) over these. Both bounds are met in the limit of
many positives, by the rankings that the proofs describe. Both rise with F: a larger F loosens g, and for one
P a smaller F asks a smaller R. So a printed F, true to half a step, gives the range of AP at its two ends.

Means. The mean of pairs (F, AP) lies in the convex hull of all possible pairs, whatever the categories are.

IoU. Over all pixels of a category, IoU at a threshold is F1 / (2 - F1) there, which rises with F1: the best
IoU is F / (2 - F). That function is convex and runs from (0, 0) to (1, 1), so the mean of IoU lies between
f / (2 - f) and f, f the mean of F.

Not bounded here: AP by trapezoids, F1 on a grid of thresholds, IoU a picture at a time. That is the point.
"""

import functools

import numpy as np

SLACK = 1e-6
"""What the minimum over a grid of P may be off by."""
MEAN_SLACK = 1e-5
"""What a hull over a grid of F may be off by."""
_TINY = 1e-6
"""Nearer to 0 or 1 than this the bounds are taken here instead: they rise with F."""
_GRID = 4001
_HULL_GRID = 1501


def ap_range(f1_low: float, f1_high: float) -> tuple[float, float]:
    """(lowest, highest) AP of a ranking whose best F1 lies in [f1_low, f1_high]; all fractions."""
    low, high = _clipped(f1_low), _clipped(f1_high)
    return max(0.0, _lowest_ap(low) - SLACK), min(1.0, _highest_ap(high) + SLACK)


def mean_ap_range(f1_low: float, f1_high: float) -> tuple[float, float]:
    """The same of means over categories: the convex hull of what single rankings can give."""
    grid, lowest, highest = _hulls()
    low, high = _clipped(f1_low), _clipped(f1_high)
    return (
        max(0.0, float(np.interp(low, grid, lowest)) - MEAN_SLACK),
        min(1.0, float(np.interp(high, grid, highest)) + MEAN_SLACK),
    )


def iou_range(f1_low: float, f1_high: float) -> tuple[float, float]:
    """(lowest, highest) best IoU over all pixels of a category."""
    low, high = _clipped(f1_low), _clipped(f1_high)
    return low / (2 - low), high / (2 - high)


def mean_iou_range(f1_low: float, f1_high: float) -> tuple[float, float]:
    """The same of means over categories."""
    low, high = _clipped(f1_low), _clipped(f1_high)
    return low / (2 - low), high


def _clipped(f1: float) -> float:
    return min(max(f1, 0.0), 1.0)


def _highest_ap(f1: float) -> float:
    f1 = max(f1, _TINY)
    r = f1 / (2 - f1)
    return float(r + f1 / 2 * (1 - r) + f1 * f1 / 2 * np.log((2 - f1) / f1))


def _lowest_ap(f1: float) -> float:
    if f1 < _TINY:
        return 0.0
    f1 = min(f1, 1 - _TINY)
    # P = 1 gives R = r and h = 1; the logarithm there would be 0 times infinity
    p = np.linspace(f1 / (2 - f1), 1.0, _GRID)[:-1]
    recall = f1 * p / (2 * p - f1)
    h = 1 + (1 - p) / p * np.log1p(-p)
    return float(min(np.min(recall * h), f1 / (2 - f1)))


@functools.cache
def _hulls() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F on a grid, and the lower and upper hull of the possible AP over it; float64 [_HULL_GRID] each."""
    # the lower bound is steep near 1, so the grid is dense there
    grid = 1.0 - np.linspace(1.0, 0.0, _HULL_GRID) ** 3
    lowest = np.array([_lowest_ap(f1) for f1 in grid])
    highest = np.array([_highest_ap(f1) for f1 in grid])
    return grid, -_upper_hull(grid, -lowest), _upper_hull(grid, highest)


def _upper_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least concave function above the points (x, y), x rising, at each x."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[a]) > (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.interp(x, x[hull], y[hull])
