"""Numbers of one ranking against each other: AP against the best F1, IoU against the best F1."""

from collections.abc import Callable, Iterator, Sequence

from bench.published.audit.contradiction import Checked, Contradiction, contradiction, metric_name, overlap
from bench.published.audit.ranking_bounds import ap_range, iou_range, mean_ap_range, mean_iou_range
from bench.published.load import AVERAGE
from bench.published.paper import Paper, Value

_AP_HIGH = (
    "F1 on a grid of thresholds misses the best one (grid21: AnomalyDiffusion, ADer), or AP is by trapezoids "
    "and too high"
)
_AP_LOW = (
    "AP and F1 of different checkpoints, or of masks binarised in different ways (truncate, "
    "nonzero-antialias)"
)
_IOU_HIGH = (
    "no threshold for all pixels gives it: IoU at the best threshold of each image (per-image-oracle: LFD, "
    "and SeaS presumably)"
)
_IOU_LOW = (
    "IoU at another threshold than that of the best F1 (argmax, grid21), or a mean over images "
    "(per-image-oracle)"
)

_Range = Callable[[float, float], tuple[float, float]]


def ap_and_f1(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Pairs of AP and F1-max that no ranking can give together."""
    for f1, ap, is_mean in _beside(papers, "f1_max", "ap"):
        bounds = mean_ap_range if is_mean else ap_range
        yield ap, _outside("ap and f1", f1, ap, bounds, _AP_LOW, _AP_HIGH)


def iou_and_f1(papers: Sequence[Paper]) -> Iterator[Checked]:
    """IoU that is not F1 / (2 - F1), and so follows another rule than the best threshold over all pixels."""
    for f1, iou, is_mean in _beside(papers, "f1_max", "iou"):
        bounds = mean_iou_range if is_mean else iou_range
        yield iou, _outside("iou and f1", f1, iou, bounds, _IOU_LOW, _IOU_HIGH)


def _beside(papers: Sequence[Paper], first: str, second: str) -> Iterator[tuple[Value, Value, bool]]:
    """Two metrics of one row and level, and whether the row is a mean."""
    for paper in papers:
        rows: dict[tuple[str, ...], dict[str, Value]] = {}
        for value in paper.values:
            row = value.row
            row_key = (row["table"], row["dataset"], row["category"], row["generator"], row["detector"])
            rows.setdefault((*row_key, row["level"], row["note"]), {})[row["metric"]] = value
        for metrics in rows.values():
            if first in metrics and second in metrics:
                is_mean = metrics[first].row["category"] == AVERAGE
                yield metrics[first], metrics[second], is_mean


def _outside(
    rule: str, f1: Value, other: Value, bounds: _Range, below: str, above: str
) -> Contradiction | None:
    """A contradiction where the second number is outside the range that the first one allows."""
    one, two = (100.0 if value.facts["unit"] == "percent" else 1.0 for value in (f1, other))
    low, high = bounds((f1.printed - f1.half_step) / one, (f1.printed + f1.half_step) / one)
    low, high = low * two, high * two
    if overlap(low, high, other.printed - other.half_step, other.printed + other.half_step):
        return None
    digits = other.facts["digits"]
    expected = f"{low:.{digits}f} to {high:.{digits}f}"
    mean = "the mean of " * (f1.row["category"] == AVERAGE)
    sentence = (
        f"beside F1-max {f1.text} {mean}{metric_name(other)} lies in {expected}, whatever the ranking; "
        f"printed is {other.text}"
    )
    explanation = above if other.printed > high else below
    return contradiction(rule, other, [f1], other.text, expected, sentence, explanation)
