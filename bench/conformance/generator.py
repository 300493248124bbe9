"""The conformance suite of generators: what the harness relies on, each point checked on a small split.

Every check takes a `Trial` and raises `Nonconformance`, one sentence, where the generator breaks the
interface. `run_checks` runs all of them; `bench check generator` prints what it returns.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from bench.conformance.checks import (
    Nonconformance,
    Result,
    contents,
    need,
    randomness,
    run_all,
)
from bench.conformance.trial_split import part_of, trial_split
from bench.errors import BenchError
from bench.methods import Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from bench.methods.samples import read_samples, write_samples

NEEDS = frozenset({"normal", "anomalies", "masks", "types", "depth"})
YIELDS = frozenset({"anomaly", "mask", "type", "normal", "depth"})


@dataclass
class Trial:
    """A generator under test: `folder` is for the suite's own files, `weights` for local weight files.

    `preset` and `overrides` say how it is configured. `outside` is how many pixels round the mask may differ
    from the base image; None where the generator renders the whole image anew.
    """

    generator: type[Generator]
    folder: Path
    preset: str = "tiny"
    overrides: Mapping[str, Any] | None = None
    weights: Path | None = None
    device: str = "cpu"
    outside: int | None = 0
    resolution: int = 64
    _split: list[TrainSplit] = field(default_factory=list)
    _models: dict[tuple[str, str, int], Path] = field(default_factory=dict)

    @property
    def split(self) -> TrainSplit:
        if not self._split:
            images = trial_split(self.folder / "split", self.resolution)
            self._split.append(self._with_derived(images) if self.generator.derives else images)
        return self._split[0]

    def _with_derived(self, images: TrainSplit) -> TrainSplit:
        categories = {}
        for name, category in images.categories.items():
            out = self._new_folder("derived")
            self.configured().derive(category, out, self.context("generator.derive", name, 0))
            categories[name] = replace(category, derived=out)
        return replace(images, categories=categories)

    def configured(self) -> Generator:
        return self.generator.configure(self.preset, self.overrides)

    def defects(self, category: str) -> tuple[str, ...]:
        """What can be asked of this generator: the types of the category, "any", or no anomaly at all."""
        if "anomaly" not in self.generator.yields:
            return ()
        return (
            tuple(self.split.categories[category].anomalies) if "type" in self.generator.yields else ("any",)
        )

    def requests(self, indices: range) -> list[Request]:
        """One request for each kind of image that the generator says it makes."""
        wanted = [
            Request(name, defect, indices) for name in self.split.categories for defect in self.defects(name)
        ]
        if "normal" in self.generator.yields:
            wanted += [Request(name, "good", indices) for name in self.split.categories]
        return wanted

    def context(self, stage: str, category: str, seed: int) -> Context:
        """A context with an empty scratch folder: a fit must not go on from the checkpoints of another."""
        named = "" if self.generator.scope == "dataset" else category
        scratch = self._new_folder("scratch")
        return Context(seed, stage, self.generator.name, named, self.device, scratch, self.weights)

    def _new_folder(self, kind: str) -> Path:
        (self.folder / kind).mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.folder / kind))

    def data(self, request: Request) -> TrainSplit:
        return part_of(self.split, self.generator.scope, request.category, request.defect)

    def fitted(self, request: Request, seed: int = 0, again: bool = False) -> Path:
        """A model that has learned what the request asks for; `again` fits anew into another folder."""
        scope = self.generator.scope
        learned = (
            "" if scope == "dataset" else request.category,
            request.defect if scope == "defect" else "",
            seed,
        )
        if again or learned not in self._models:
            out = self._new_folder("models")
            generator = self.configured()
            generator.fit(self.data(request), out, self.context("generator.fit", request.category, seed))
            if again:
                return out
            self._models[learned] = out
        return self._models[learned]

    def samples(self, request: Request, seed: int = 0) -> list[Sample]:
        context = self.context("generator.sample", request.category, seed)
        model = self.fitted(request, seed)
        return list(self.configured().sample(model, self.data(request), request, context))


def declares_itself(trial: Trial) -> None:
    """Name, version, scope, needs, yields and the preset `tiny` are there and known."""
    cls = trial.generator
    need(isinstance(cls.name, str) and cls.name.strip() == cls.name != "", f"name is {cls.name!r}")
    need(isinstance(cls.version, int) and cls.version >= 1, f"version is {cls.version!r}; use 1, 2, ...")
    need(cls.scope in ("dataset", "category", "defect"), f"scope is {cls.scope!r}")
    need(cls.needs <= NEEDS, f"needs has unknown {sorted(cls.needs - NEEDS)}")
    need(cls.yields <= YIELDS, f"yields has unknown {sorted(cls.yields - YIELDS)}")
    need(bool(cls.yields & {"anomaly", "normal"}), "yields neither anomaly nor normal")
    for said in ("derives", "sampling_params"):
        unknown = sorted(set(getattr(cls, said)) - set(cls.Params.model_fields))
        need(not unknown, f"{said} names {', '.join(unknown)}, which Params does not have")
    need("tiny" in cls.presets, "there is no preset 'tiny', which the checks run")


def validates_parameters(trial: Trial) -> None:
    """Parameters are typed, frozen and described; every preset is valid; unknown names are refused."""
    cls = trial.generator
    need(issubclass(cls.Params, Params), "Params is not a subclass of bench.methods.Params")
    for preset in (None, *cls.presets):
        cls.configure(preset)
    nameless = [name for name, info in cls.Params.model_fields.items() if not info.description]
    need(not nameless, f"parameters without a description: {', '.join(nameless)}")
    try:
        cls.configure(None, {"no_such_parameter": 1})
    except BenchError:
        pass
    else:
        raise Nonconformance("an unknown parameter is accepted")
    need(bool(cls.Params.model_config.get("frozen")), "Params is not frozen")


def gives_valid_samples(trial: Trial) -> None:
    """Shapes, dtypes and masks are right for every kind of request, and survive the sample set."""
    for request in trial.requests(range(3)):
        made = trial.samples(request)
        path = trial.folder / "set.zip"
        try:
            write_samples(
                path, request, iter(made), generator=trial.generator.name, resolution=trial.split.resolution
            )
        except BenchError as error:
            raise Nonconformance(str(error)) from None
        for before, after in zip(made, read_samples(path), strict=True):
            need(_equal(before, after), f"a sample of {_where(request)} changes when it is stored")


def depends_on_the_index_alone(trial: Trial) -> None:
    """Item i is the same in any chunk: range(5, 8) gives items 5 to 7 of range(0, 10)."""
    for request in trial.requests(range(10)):
        whole = trial.samples(request)
        part = trial.samples(Request(request.category, request.defect, range(5, 8)))
        for index, (a, b) in enumerate(zip(whole[5:8], part, strict=True), start=5):
            need(_equal(a, b), f"sample {index} of {_where(request)} depends on the other indices asked for")


def samples_differ(trial: Trial) -> None:
    """Different indices give different images."""
    for request in trial.requests(range(6)):
        made = trial.samples(request)
        distinct = {sample.image.tobytes() for sample in made}
        need(len(distinct) > 1, f"all {len(made)} images of {_where(request)} are the same")


def same_seed_same_bytes(trial: Trial) -> None:
    """Fitting again gives the same files, and sampling again the same images."""
    for request in trial.requests(range(2)):
        first, second = trial.fitted(request), trial.fitted(request, again=True)
        need(
            contents(first) == contents(second),
            f"two fits for {_where(request)} with one seed wrote other files",
        )
        once, twice = trial.samples(request), trial.samples(request)
        same = all(_equal(a, b) for a, b in zip(once, twice, strict=True))
        need(same, f"sampling {_where(request)} twice with one seed gave other images")


def learns_without_sampling_params(trial: Trial) -> None:
    """A fit that sees the defaults of the parameters in `sampling_params` writes the same files."""
    cls = trial.generator
    if cls.sampling_params:
        params = trial.configured().params.model_dump(exclude=set(cls.sampling_params))
        models = {trial.fitted(request): request for request in trial.requests(range(1))}
        for model, request in models.items():
            out = trial._new_folder("models")
            context = trial.context("generator.fit", request.category, 0)
            cls(cls.Params(**params)).fit(trial.data(request), out, context)
            same = contents(out) == contents(model)
            need(same, f"a fit for {_where(request)} depends on {', '.join(sorted(cls.sampling_params))}")


def another_seed_differs(trial: Trial) -> None:
    """The seed matters."""
    for request in trial.requests(range(4)):
        pairs = zip(trial.samples(request, seed=0), trial.samples(request, seed=1), strict=True)
        need(
            not all(_equal(a, b) for a, b in pairs),
            f"seeds 0 and 1 give the same images of {_where(request)}",
        )


def comes_to_the_same_in_less_memory(trial: Trial) -> None:
    """What it says that it does in less memory (`frugal`) has the same bytes there."""
    says = trial.generator.frugal
    need(says <= {"fit", "sample"}, f"frugal is {sorted(says)}; use fit and sample")
    for request in trial.requests(range(2)):
        data, less = trial.data(request), trial._new_folder("models")
        contexts = [
            replace(trial.context(stage, request.category, 0), frugal=True)
            for stage in ("generator.fit", "generator.sample")
        ]
        if "fit" in says:
            trial.configured().fit(data, less, contexts[0])
            same = contents(less) == contents(trial.fitted(request))
            need(same, f"a fit for {_where(request)} in less memory wrote other files")
        if "sample" in says:
            made = list(trial.configured().sample(trial.fitted(request), data, request, contexts[1]))
            same = all(_equal(a, b) for a, b in zip(made, trial.samples(request), strict=True))
            need(same, f"sampling {_where(request)} in less memory gave other images")


def leaves_global_randomness(trial: Trial) -> None:
    """Neither Python's, NumPy's nor torch's global generators are drawn from or seeded."""
    request = trial.requests(range(2))[0]
    before = randomness()
    trial.fitted(request, again=True)
    trial.samples(request)
    touched = [name for name, state in randomness().items() if name in before and before[name] != state]
    need(
        not touched,
        f"the global random state of {', '.join(touched)} changed; use ctx.rng or ctx.torch_stream",
    )


def yields_what_it_says(trial: Trial) -> None:
    """Normal images, types and depth are given if declared, and refused in one sentence if not."""
    yields = trial.generator.yields
    category = next(iter(trial.split.categories))
    refused = {"no such defect", *(() if "normal" in yields else ("good",))}
    if "anomaly" not in yields:
        refused.add("any")
    if "type" not in yields:
        refused |= set(trial.split.categories[category].anomalies)
    known = trial.requests(range(1))[0]
    for defect in sorted(refused):
        _refused(trial, known, Request(category, defect, range(1)))
    for request in trial.requests(range(2)):
        for sample in trial.samples(request):
            need(
                (sample.depth is not None) == ("depth" in yields),
                f"yields {'says' if 'depth' in yields else 'does not say'} depth, samples say otherwise",
            )


def changes_the_mask_alone(trial: Trial) -> None:
    """Outside the mask, up to the margin `outside`, the image is the base image."""
    if trial.outside is None:
        return
    for request in trial.requests(range(4)):
        for index, sample in zip(request.indices, trial.samples(request), strict=True):
            if sample.base is None or sample.mask is None:
                continue
            allowed = sample.mask
            if trial.outside:
                allowed = ndimage.maximum_filter(allowed, size=2 * trial.outside + 1)
            changed = (sample.image != sample.base).any(axis=2) & ~allowed
            need(
                not changed.any(),
                f"sample {index} of {_where(request)} differs from its base in {int(changed.sum())} pixels "
                f"more than {trial.outside} outside the mask",
            )


CHECKS: tuple[Callable[[Trial], None], ...] = (
    declares_itself,
    validates_parameters,
    gives_valid_samples,
    depends_on_the_index_alone,
    samples_differ,
    same_seed_same_bytes,
    learns_without_sampling_params,
    another_seed_differs,
    comes_to_the_same_in_less_memory,
    leaves_global_randomness,
    yields_what_it_says,
    changes_the_mask_alone,
)


def run_checks(trial: Trial) -> list[Result]:
    """All checks; skipped, with the reason, where the generator misses weights or packages."""
    return run_all(CHECKS, trial, trial.configured().missing(trial.weights))


def check_light_import(module: str, heavy: Iterable[str] = ("torch", "pandas", "matplotlib")) -> None:
    """Importing the module in a fresh process loads none of the heavy packages."""
    code = f"import sys, {module}; print(' '.join(sorted({set(heavy)!r} & set(sys.modules))))"
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    need(ran.returncode == 0, f"{module} cannot be imported: {ran.stderr.strip().splitlines()[-1:]}")
    need(not ran.stdout.strip(), f"importing {module} loads {ran.stdout.strip()}; import it where it is used")


def _where(request: Request) -> str:
    return f"'{request.category}/{request.defect}'"


def _equal(a: Sample, b: Sample) -> bool:
    def same(x: np.ndarray | None, y: np.ndarray | None) -> bool:
        if x is None or y is None:
            return x is y
        return x.dtype == y.dtype and np.array_equal(x, y)

    return all(same(x, y) for x, y in zip(a, b, strict=True))


def _refused(trial: Trial, known: Request, request: Request) -> None:
    """The request, put to a model that learned `known`, must raise BenchError before any sample."""
    model = trial.fitted(known)
    context = trial.context("generator.sample", known.category, 0)
    try:
        next(iter(trial.configured().sample(model, trial.data(known), request, context)), None)
    except BenchError:
        return
    except Exception as error:
        raise Nonconformance(f"a request for {_where(request)} raises {error!r}, not BenchError") from None
    raise Nonconformance(f"a request for {_where(request)} is not refused, and it is not in `yields`")
