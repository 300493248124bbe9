"""The conformance suite of generators: what the harness relies on, each point checked on a small split.

Every check takes a `GeneratorTrial` and raises `Nonconformance`, one sentence, where the generator breaks the
interface. `run_checks` runs all of them; `bench check generator` prints what it returns.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from bench.conformance.checks import Check, Nonconformance, Outputs, Result, differing, need, other_files
from bench.conformance.shared_checks import (
    another_seed_differs,
    comes_to_the_same_in_less_memory,
    declares_facts,
    goes_on_after_an_interruption,
    leaves_global_randomness,
    same_seed_same_bytes,
    validates_parameters,
    works_in_a_fresh_process,
)
from bench.conformance.trial import Trial
from bench.conformance.trial_split import part_of, trial_split
from bench.errors import BenchError
from bench.methods import Request, Sample, TrainSplit
from bench.methods.context import Context
from bench.methods.samples import read_samples, write_samples

NEEDS = frozenset({"normal", "anomalies", "masks", "types", "depth"})
YIELDS = frozenset({"anomaly", "mask", "type", "normal", "depth"})
_INDICES = range(4)
"""The images of a request, where a check does not say otherwise."""


@dataclass
class GeneratorTrial(Trial[Request]):
    """A generator under test; its parts are requests, one for each kind of image that it makes.

    `outside` is how many pixels round the mask may differ from the base image; None where the generator
    renders the whole image anew.
    """

    outside: int | None = 0

    kind, use_stage, output = "generator", "generator.sample", "images"

    @cached_property
    def split(self) -> TrainSplit:
        images = trial_split(self.folder / "split", self.side)
        return self._with_derived(images) if self.adapter.derives else images

    def _with_derived(self, images: TrainSplit) -> TrainSplit:
        categories = {}
        for name, category in images.categories.items():
            out = self.new_folder("derived")
            context = self.context("generator.derive", Request(name, "", range(0)))
            self.configured().derive(category, out, context)
            categories[name] = replace(category, derived=out)
        return replace(images, categories=categories)

    def defects(self, category: str) -> tuple[str, ...]:
        """What can be asked of this generator: the types of the category, "any", or no anomaly at all."""
        if "anomaly" not in self.adapter.yields:
            return ()
        return tuple(self.split.categories[category].anomalies) if "type" in self.adapter.yields else ("any",)

    def requests(self, indices: range) -> list[Request]:
        """One request for each kind of image that the generator says it makes."""
        categories = self.split.categories
        requests = [Request(name, defect, indices) for name in categories for defect in self.defects(name)]
        if "normal" in self.adapter.yields:
            requests += [Request(name, "good", indices) for name in categories]
        return requests

    def parts(self) -> list[Request]:
        return self.requests(_INDICES)

    def named(self, part: Request) -> str:
        return f" of '{part.category}/{part.defect}'"

    def category(self, part: Request) -> str:
        return "" if self.adapter.scope == "dataset" else part.category

    def model_of(self, part: Request) -> Hashable:
        return self.category(part), part.defect if self.adapter.scope == "defect" else ""

    def data(self, part: Request) -> TrainSplit:
        return part_of(self.split, self.adapter.scope, part.category, part.defect)

    def learn(self, part: Request, out: Path, context: Context) -> None:
        self.configured().fit(self.data(part), out, context)

    def outputs(self, part: Request, model: Path, context: Context) -> Outputs:
        samples = list(self.configured().sample(model, self.data(part), part, context))
        need(
            len(samples) == len(part.indices),
            f"a request{self.named(part)} for {len(part.indices)} samples gave {len(samples)}",
        )
        need(all(isinstance(sample, Sample) for sample in samples), "sample yields no bench.methods.Sample")
        return {
            f"{field} {index}": array
            for index, sample in zip(part.indices, samples, strict=True)
            for field, array in sample._asdict().items()
            if array is not None
        }

    def samples(self, part: Request) -> list[Sample]:
        """The samples of a request."""
        outputs = self.used(part)
        return [
            Sample(**{field: outputs.get(f"{field} {index}") for field in Sample._fields})  # type: ignore[arg-type]
            for index in part.indices
        ]


def declares_itself(trial: GeneratorTrial) -> None:
    """Name, version, scope, needs, yields and the preset `tiny` are there and known."""
    declares_facts(trial, ("dataset", "category", "defect"), ("fit", "sample"))
    cls = trial.adapter
    need(cls.needs <= NEEDS, f"needs has unknown {sorted(cls.needs - NEEDS)}")
    need(cls.yields <= YIELDS, f"yields has unknown {sorted(cls.yields - YIELDS)}")
    need(bool(cls.yields & {"anomaly", "normal"}), "yields neither anomaly nor normal")
    for fact in ("derives", "sampling_params"):
        unknown = sorted(set(getattr(cls, fact)) - set(cls.Params.model_fields))
        need(not unknown, f"{fact} names {', '.join(unknown)}, which Params does not have")


def gives_valid_samples(trial: GeneratorTrial) -> None:
    """Shapes, dtypes and masks are right for every kind of request, and survive the sample set."""
    for part in trial.parts():
        samples, path = trial.samples(part), trial.folder / "set.zip"
        write_samples(
            path,
            part,
            iter(samples),
            generator=trial.adapter.name,
            resolution=trial.side,
            may_be_empty=trial.configured().may_be_empty,
        )
        for before, after in zip(samples, read_samples(path), strict=True):
            need(_equal(before, after), f"a sample{trial.named(part)} changes when it is stored")


def depends_on_the_index_alone(trial: GeneratorTrial) -> None:
    """Item i is the same in any chunk: range(5, 8) gives items 5 to 7 of range(0, 10)."""
    for part in trial.requests(range(10)):
        whole, chunk = trial.used(part), trial.used(replace(part, indices=range(5, 8)))
        for name, array in chunk.items():
            need(
                not differing({name: array}, {name: whole[name]} if name in whole else {}),
                f"{name}{trial.named(part)} depends on the other indices of the request",
            )


def samples_differ(trial: GeneratorTrial) -> None:
    """Different indices give different images."""
    for part in trial.parts():
        images = [sample.image.tobytes() for sample in trial.samples(part)]
        need(len(set(images)) > 1, f"all {len(images)} images{trial.named(part)} are the same")


def learns_without_sampling_params(trial: GeneratorTrial) -> None:
    """A fit that sees the defaults of the parameters in `sampling_params` writes the same files."""
    cls = trial.adapter
    if not cls.sampling_params:
        return
    params = trial.configured().params.model_dump(exclude=set(cls.sampling_params))
    models = {trial.fitted(part).model: part for part in trial.parts()}
    for model, part in models.items():
        out = trial.new_folder("models")
        cls(cls.Params(**params)).fit(trial.data(part), out, trial.fit_context(part))
        files = other_files(model, out)
        need(not files, f"a fit{trial.named(part)} depends on {', '.join(sorted(cls.sampling_params))}")


def yields_what_it_says(trial: GeneratorTrial) -> None:
    """Normal images, types and depth are given if declared, and refused in one sentence if not."""
    yields = trial.adapter.yields
    category = next(iter(trial.split.categories))
    refused = {"no such defect", *(() if "normal" in yields else ("good",))}
    if "anomaly" not in yields:
        refused.add("any")
    if "type" not in yields:
        refused |= set(trial.split.categories[category].anomalies)
    for defect in sorted(refused):
        _refused(trial, trial.parts()[0], Request(category, defect, range(1)))
    for part in trial.parts():
        for sample in trial.samples(part):
            need(
                (sample.depth is not None) == ("depth" in yields),
                f"yields {'says' if 'depth' in yields else 'does not say'} depth, samples say otherwise",
            )


def _refused(trial: GeneratorTrial, learned: Request, request: Request) -> None:
    """The request, put to a model that learned another, must raise BenchError before any sample."""
    model, data = trial.fitted(learned).model, trial.data(learned)
    try:
        next(iter(trial.configured().sample(model, data, request, trial.use_context(learned))), None)
    except BenchError:
        return
    except Exception as error:
        raise Nonconformance(f"a request{trial.named(request)} raises {error!r}, not BenchError") from None
    raise Nonconformance(f"a request{trial.named(request)} is not refused, and it is not in `yields`")


def changes_the_mask_alone(trial: GeneratorTrial) -> None:
    """Outside the mask, up to the margin `outside`, the image is the base image."""
    if trial.outside is None:
        return
    for part in trial.parts():
        for index, sample in zip(part.indices, trial.samples(part), strict=True):
            if sample.base is None or sample.mask is None:
                continue
            allowed = sample.mask
            if trial.outside:
                allowed = ndimage.maximum_filter(allowed, size=2 * trial.outside + 1)
            changed = (sample.image != sample.base).any(axis=2) & ~allowed
            need(
                not changed.any(),
                f"sample {index}{trial.named(part)} differs from its base in {int(changed.sum())} pixels "
                f"more than {trial.outside} outside the mask",
            )


CHECKS: tuple[Check[GeneratorTrial], ...] = (
    declares_itself,
    validates_parameters,
    gives_valid_samples,
    depends_on_the_index_alone,
    samples_differ,
    same_seed_same_bytes,
    learns_without_sampling_params,
    another_seed_differs,
    goes_on_after_an_interruption,
    comes_to_the_same_in_less_memory,
    leaves_global_randomness,
    yields_what_it_says,
    changes_the_mask_alone,
    works_in_a_fresh_process,
)


def run_checks(trial: GeneratorTrial) -> list[Result]:
    """All checks; skipped, with the reason, where the generator misses weights or packages."""
    return trial.results(CHECKS)


def _equal(a: Sample, b: Sample) -> bool:
    return all(
        x is y if x is None or y is None else x.dtype == y.dtype and np.array_equal(x, y)
        for x, y in zip(a, b, strict=True)
    )
