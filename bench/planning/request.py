"""What the user asked for, and how it becomes the configuration that a protocol plans from."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.features.digest import features_digest
from bench.methods import registry
from bench.planning.banner import SAMPLE_NOTE, banner
from bench.planning.config import Mix, PlanConfig, ResolvedMethod, Skipped
from bench.planning.image_dialects import image_dialects
from bench.planning.ingested import IngestedMethod, ingested_methods
from bench.planning.methods import Overrides, bare_name, resolve, with_weights
from bench.planning.prepare import PreparedData, check_rule, prepare
from bench.planning.protocol_file import load_protocol, recorded_name
from bench.planning.spec import ProtocolSpec, Scale, apply_settings, parse_settings
from bench.sample import CATEGORIES, SampleSpec, write
from bench.store import Store
from bench.tasks import Task, digest


@dataclass(frozen=True)
class RunRequest:
    """`bench run` as the user wrote it; None is what was left to the protocol."""

    protocol: str
    data: Path | None = None
    scale: str = "quick"
    generators: tuple[str, ...] | None = None
    detectors: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    split: str | None = None
    shots: int | None = None
    features: str = "embedded"
    settings: tuple[str, ...] = ()
    weights: Path | None = None
    plugins: tuple[Path, ...] = ()
    all_warnings: bool = False
    """Print each warning of the data; changes nothing else."""

    @property
    def command(self) -> str:
        """The command line that asks for this."""
        words = ["bench", "run", "--protocol", self.protocol]
        if self.data is not None:
            words += ["--data", str(self.data)]
        if self.scale != "quick":
            words += ["--scale", self.scale]
        for option, names in (
            ("--generators", self.generators),
            ("--detectors", self.detectors),
            ("--categories", self.categories),
            ("--seeds", self.seeds),
        ):
            if names is not None:
                words += [option, ",".join(map(str, names))]
        if self.split is not None:
            words += ["--split", self.split]
        if self.shots is not None:
            words += ["--shots", str(self.shots)]
        if self.features != "embedded":
            words += ["--features", self.features]
        for setting in self.settings:
            words += ["--set", setting]
        if self.weights is not None:
            words += ["--weights", str(self.weights)]
        for plugin in self.plugins:
            words += ["--plugin", str(plugin)]
        return shlex.join(words)


@dataclass(frozen=True)
class Prepared:
    """A request that was checked as far as that is possible before work starts."""

    config: PlanConfig
    data: PreparedData
    about: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())
    """Sentences for the user: defaults that were taken."""

    def planned(self) -> Iterator[Task | Skipped]:
        """Every score that the protocol asks for, and every cell that cannot be, with the reason."""
        return registry.load_plan("protocol")(self.config)


def prepare_request(
    request: RunRequest, store: Store, progress: Callable[[str], Callable[..., None]]
) -> Prepared:
    """Check everything that can be checked, names and parameters before data; BenchError says what is wrong.

    `progress(what)` gives the function that shows the progress of one long step.
    """
    checked = _checked(request, store)
    scale, spec = checked.scale, checked.spec
    root = request.data or sample_data(store, scale, progress("rendering the sample data set"))
    data = prepare(
        root,
        store,
        categories=request.categories,
        rule=checked.rule,
        shots=request.shots,
        seeds=checked.seeds,
        pinned=spec.counts.read_text(encoding="utf-8") if spec.counts else None,
        resolution=scale.resolution,
        progress=progress("reading the data set"),
    )
    config = _config(checked, data)
    methods = (*config.generators, *config.detectors)
    notes = [f"skipped: {method.missing_requirement}" for method in methods if method.missing_requirement]
    if request.data is None:
        notes.append("no --data given: running on the " + SAMPLE_NOTE)
    warnings = data.each_warning if request.all_warnings else data.warnings
    notes += [f"warning: {warning}" for warning in warnings]
    return Prepared(config, data, _about(checked, config, data), tuple(notes))


@dataclass(frozen=True)
class _Checked:
    """A request and what its names stand for, before any data was read."""

    request: RunRequest
    spec: ProtocolSpec
    scale: Scale
    generators: tuple[ResolvedMethod, ...]
    detectors: tuple[ResolvedMethod, ...]
    rule: str
    seeds: tuple[int, ...]
    ic_lpips: tuple[str, ...]
    kid: tuple[str, ...]
    features_weights: str


def _checked(request: RunRequest, store: Store) -> _Checked:
    registry.load_plugins([str(path) for path in request.plugins])
    if request.weights is not None and not request.weights.is_dir():
        raise BenchError(f"the weights folder {request.weights} does not exist; give the folder of --weights")
    spec = load_protocol(request.protocol)
    generator_names = request.generators or tuple(spec.scale(request.scale).generators)
    detector_names = request.detectors or tuple(spec.scale(request.scale).detectors)
    in_run = [bare_name(name) for name in (*generator_names, *detector_names)]
    overrides, counts = Overrides.split(parse_settings(list(request.settings)), in_run)
    scale = apply_settings(spec.scale(request.scale), counts)
    ingested = ingested_methods(store)
    generators = _methods("generator", generator_names, spec, scale, overrides, ingested["generator"])
    detectors = _methods("detector", detector_names, spec, scale, overrides, ingested["detector"])
    of_clusters = spec.ic_lpips if scale.ic_lpips is None else scale.ic_lpips
    ic_lpips = image_dialects("ic_lpips", of_clusters, request.features)
    kid = image_dialects("kid", spec.kid if scale.kid is None else scale.kid)
    rule = request.split or spec.split
    check_rule(rule, request.shots)
    for name in request.categories or () if request.data is None else ():
        if name not in CATEGORIES:
            raise BenchError(did_you_mean("category", name, CATEGORIES, of="sample"))
    return _Checked(
        request,
        spec,
        scale,
        tuple(with_weights(generator, request.weights) for generator in generators),
        tuple(with_weights(detector, request.weights) for detector in detectors),
        rule,
        request.seeds or tuple(scale.seeds),
        ic_lpips,
        kid,
        features_digest(request.features, request.weights),
    )


def _methods(
    kind: Any,
    chosen: tuple[str, ...],
    spec: ProtocolSpec,
    scale: Scale,
    overrides: Overrides,
    ingested: Mapping[str, IngestedMethod],
) -> tuple[ResolvedMethod, ...]:
    methods = tuple(resolve(kind, name, spec, scale, overrides, ingested) for name in chosen)
    overrides.check_shared(kind, methods)
    titles = [method.title for method in methods]
    twice = {title for title in titles if titles.count(title) > 1}
    if twice:
        raise BenchError(f"{kind} '{min(twice)}' is named twice; name it once")
    return methods


def sample_data(store: Store, scale: Scale, progress: Callable[..., None]) -> Path:
    """The sample data set in the sizes of the scale, rendered into the store unless it is there."""
    sizes = scale.sample.model_dump()
    sample = SampleSpec(**sizes)
    folder = store.root / "data" / digest(sizes)[:12] / "sample"
    return write(sample, folder, workers=min(os.cpu_count() or 1, 8), progress=progress)


def _config(checked: _Checked, data: PreparedData) -> PlanConfig:
    spec, scale, request = checked.spec, checked.scale, checked.request
    return PlanConfig(
        protocol=recorded_name(spec),
        version=spec.version,
        scale=request.scale,
        preset=scale.preset,
        # its published name, whatever its folder is called: papers' numbers stand beside it by that name
        dataset=spec.counts.stem if spec.counts and data.is_published else data.dataset.name,
        fingerprint=data.fingerprint,
        splits=data.splits,
        generators=checked.generators,
        detectors=checked.detectors,
        seeds=checked.seeds,
        resolution=scale.resolution,
        generated_per_type=scale.generated_per_type,
        chunk=scale.chunk,
        replicates=scale.replicates,
        features=request.features,
        features_weights=checked.features_weights,
        selection=scale.selection,
        score=spec.score,
        mixes={name: Mix(mix.shares, mix.generated_normals) for name, mix in spec.mixes.items()},
        rows_alone=spec.rows.alone,
        rows_generated=spec.rows.generated,
        modalities=scale.modalities,
        ic_lpips=checked.ic_lpips,
        kid=checked.kid,
    )


def _about(checked: _Checked, config: PlanConfig, data: PreparedData) -> dict[str, Any]:
    request, spec = checked.request, checked.spec
    split = config.splits[config.seeds[0]]
    return {
        "protocol": config.protocol,
        "protocol_version": spec.version,
        "title": spec.title,
        "scale": request.scale,
        "dataset": config.dataset,
        "banner": banner(
            is_sample=request.data is None,
            is_embedded=request.features == "embedded",
            spec=spec,
            scale=request.scale,
        ),
        "baseline": spec.baseline,
        "warnings": list(data.warnings),
        "provenance": {
            "command": request.command,
            "data fingerprint": config.fingerprint,
            "split": split.name,
            "shots": split.shots,
            "images": {
                category.name: {
                    "train/good": category.normal.count,
                    "base": dict(category.base.counts),
                    "test": dict(category.test.counts),
                }
                for category in split.categories
            },
            "seeds": list(config.seeds),
            "resolution": config.resolution,
            "generated per type": config.generated_per_type,
            "checkpoint": config.selection,
            "features": config.features,
            "feature weights": config.features_weights,
            "methods": {
                method.name: {
                    "id": method.id,
                    "preset": method.preset,
                    "scope": method.scope,
                    "parameters": dict(method.params),
                }
                for method in (*config.generators, *config.detectors)
            },
        },
    }
