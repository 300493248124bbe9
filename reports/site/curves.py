"""The curves of each detector: ROC and precision-recall on the test images, and its training."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reports.site.roc_pr_curves import plots, ticks
from reports.site.run_board import Page, RunBoard, SiblingPage
from reports.site.svg_lines import legend
from reports.site.training_curves import panels


def pages(run: RunBoard) -> Iterator[Page]:
    for detector, file in run.curve_files.items():
        yield Page(file, "curves.html", partial(_context, run, detector))


def _context(run: RunBoard, detector: str) -> Mapping[str, Any]:
    curves = [curve for curve in run.results.curves if curve.detector == detector]
    traces = [trace for trace in run.results.traces if trace.detector == detector]
    return {
        "group": detector,
        "groups": [SiblingPage(file, name, name == detector) for name, file in run.curve_files.items()],
        "plots": plots(curves),
        "plot_key": legend(curves),
        "ticks": ticks(),
        "panels": panels(traces),
        "panel_key": legend(traces),
    }
