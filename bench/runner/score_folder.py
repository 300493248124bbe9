"""Scoring without a protocol: a folder of images, or of a detector's outputs, against one data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError
from bench.features.digest import features_digest
from bench.ingestion.content import IngestedContent, ingest_images, ingest_predictions
from bench.methods import registry
from bench.planning.config import PlanConfig
from bench.planning.image_dialects import image_dialects
from bench.planning.plan import Plan, make_plan, save_plan
from bench.planning.prepare import PreparedData, prepare
from bench.record.labels import SCORE
from bench.record.trained_elsewhere import UNSTATED, TrainedElsewhere
from bench.runner.driver import Outcome
from bench.runner.machine import Machine, run_tasks
from bench.runner.view import RunView
from bench.store import Store
from bench.store.source_code import changed_source
from bench.tasks import Task

_REPLICATES = 1000
_SEED = 0


@dataclass(frozen=True)
class ScoreRequest:
    """What is scored, against what, and how."""

    kind: Literal["images", "predictions"]
    folder: Path
    against: Path
    """The real data set, in MVTec AD layout."""
    features: str = "embedded"
    weights: Path | None = None
    resolution: int = 256
    split: str | None = None
    ic_lpips: tuple[str, ...] = ("default",)
    """Dialects of IC-LPIPS that are recorded beside the default."""
    kid: tuple[str, ...] = ("default",)
    """Dialects of KID, likewise."""
    trained: TrainedElsewhere = UNSTATED
    """What is known of the detector that made the predictions."""
    all_warnings: bool = False
    """Print each warning, not one line per kind and folder."""

    @property
    def rule(self) -> str:
        return self.split or "first-third@1"

    def check(self) -> None:
        """Raise BenchError where a folder is missing, before a store is made."""
        if not self.folder.is_dir():
            raise BenchError(
                f"the folder {self.folder} does not exist; name the folder that holds what is scored"
            )
        self.trained.check()
        if self.kind == "images" and self.trained != UNSTATED:
            raise BenchError(
                "--mix, --scope, --selection and --generated-per-type are of the detector that made "
                "--predictions; leave them out"
            )
        image_dialects("ic_lpips", self.ic_lpips, self.features)
        image_dialects("kid", self.kid)
        if self.kind == "predictions" and (self.ic_lpips, self.kid) != (("default",), ("default",)):
            raise BenchError("--ic-lpips and --kid are of generated images; leave them out of --predictions")
        if self.weights is not None and not self.weights.is_dir():
            raise BenchError(
                f"the weights folder {self.weights} does not exist; give the folder of --weights"
            )


def score_folder(request: ScoreRequest, store: Store, view: RunView) -> tuple[Plan, list[Task], Outcome]:
    """Check the folder and the data set, plan the scores and run what is missing of them."""
    weights_digest = features_digest(request.features, request.weights)
    data = prepare(
        request.against,
        store,
        categories=None,
        rule=request.rule,
        shots=None,
        seeds=[_SEED],
        pinned=None,
        resolution=request.resolution,
        progress=view.step("reading the data set"),
    )
    config = _config(request, data, weights_digest)
    name = request.folder.resolve().name
    content = _content(request, data, store, name)
    for warning in data.each_warning if request.all_warnings else data.warnings:
        view.say(f"warning: {warning}")
    for note in content.notes_of(request.all_warnings):
        view.say(note)
    of_detector = {"trained": request.trained} if request.kind == "predictions" else {}
    planned = registry.load_plan(request.kind)(config, name, content.params, **of_detector)
    plan, goals = make_plan(planned, _about(request, config, data))
    if changed := changed_source(store, goals):
        view.say(changed)
    with store.planning():
        path = save_plan(plan, store.root / "runs")
    journal = {"plan": None, "scores": path.name, "command": "bench score"}
    return plan, goals, run_tasks(store, goals, Machine(), view, journal, weights=request.weights)


def _content(request: ScoreRequest, data: PreparedData, store: Store, name: str) -> IngestedContent:
    if request.kind == "images":
        return ingest_images(store, data.dataset, request.folder, name, "score again", request.resolution)
    return ingest_predictions(store, data, request.rule, _SEED, request.folder, name, "score again")


def _config(request: ScoreRequest, data: PreparedData, weights_digest: str) -> PlanConfig:
    return PlanConfig(
        protocol=SCORE,
        version=1,
        scale="",
        preset="",
        dataset=data.dataset.name,
        fingerprint=data.fingerprint,
        splits=data.splits,
        generators=(),
        detectors=(),
        seeds=(_SEED,),
        resolution=request.resolution,
        generated_per_type=0,
        chunk=1,
        replicates=_REPLICATES,
        features=request.features,
        features_weights=weights_digest,
        selection="unknown",
        ic_lpips=image_dialects("ic_lpips", request.ic_lpips, request.features),
        kid=image_dialects("kid", request.kid),
    )


def _about(request: ScoreRequest, config: PlanConfig, data: PreparedData) -> Mapping[str, Any]:
    return {
        "protocol": SCORE,
        "scale": "",
        "dataset": config.dataset,
        "banner": "",
        "warnings": list(data.warnings),
        "provenance": {
            "data fingerprint": config.fingerprint,
            "split": request.rule,
            "features": config.features,
        },
    }
