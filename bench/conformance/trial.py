"""A method under test: fitted and used, here and in a fresh process, with what it asked of its context."""

import json
import os
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from bench.conformance.checks import (
    Check,
    Nonconformance,
    Outputs,
    Result,
    need,
    randomness,
    touched_since,
)
from bench.methods.context import Context
from bench.methods.error_line import code_of, sentence_of
from bench.methods.packages import why_unusable

Part = TypeVar("Part", bound=Hashable)


class Interrupted(Exception):
    """What the suite raises from `ctx.progress`, in the place of a kill."""


@dataclass(frozen=True)
class TrialContext(Context):
    """A context that remembers which random streams were asked for and which steps were reported."""

    streams: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def rng(self, name: str, index: int | None = None) -> np.random.Generator:
        self.streams.append(name)
        return super().rng(name, index)

    @contextmanager
    def torch_stream(self, name: str, index: int | None = None) -> Iterator[None]:
        self.streams.append(name)
        with super().torch_stream(name, index):
            yield


@dataclass(frozen=True)
class TrialFit:
    """One fit: the folder of the model, its context, and the global random states that it changed."""

    model: Path
    context: TrialContext
    touched: list[str]


@dataclass
class Trial(ABC, Generic[Part]):
    """A method under test: `folder` is for the suite's own files, `weights` for local weight files.

    A part is what one fit and one use are about: a request to a generator, all test images for a detector.
    `preset` and `overrides` say how the method is configured.
    """

    adapter: type[Any]
    folder: Path
    preset: str = "tiny"
    overrides: Mapping[str, Any] | None = None
    weights: Path | None = None
    device: str = "cpu"
    resolution: int = 64
    _fits: dict[Hashable, TrialFit] = field(default_factory=dict, init=False, repr=False)
    _uses: dict[Hashable, tuple[Outputs, list[str]]] = field(default_factory=dict, init=False, repr=False)

    kind: ClassVar[str]
    use_stage: ClassVar[str]
    output: ClassVar[str]
    """What a use gives, in a word: images, predictions."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """What the shared checks go through."""

    @abstractmethod
    def category(self, part: Part) -> str:
        """The category of the tasks of a part; "" where one task covers all."""

    @abstractmethod
    def model_of(self, part: Part) -> Hashable:
        """Parts of which this is equal share a model."""

    @abstractmethod
    def learn(self, part: Part, out: Path, context: Context) -> None:
        """Fit what the part needs into the folder `out`."""

    @abstractmethod
    def outputs(self, part: Part, model: Path, context: Context) -> Outputs:
        """Use a model: sample the request, or predict the test images."""

    def named(self, part: Part) -> str:
        """How a sentence names the part, after a space; "" where there is only one."""
        return ""

    @property
    def source(self) -> Path:
        """The file that defines the method."""
        return Path(str(sys.modules[self.adapter.__module__].__file__))

    def configured(self) -> Any:
        return self.adapter.configure(self.preset, self.overrides)

    @property
    def side(self) -> int:
        """Of the images that the method is given: as it asks for them, else as the suite has them."""
        view = self.configured().view()
        return self.resolution if view is None else view.side

    def new_folder(self, kind: str) -> Path:
        (self.folder / kind).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.folder / kind))

    def context(self, stage: str, part: Part, seed: int = 0) -> TrialContext:
        """A context with an empty scratch folder: a fit must not go on from the checkpoints of another."""
        scratch, steps = self.new_folder("scratch"), list[int]()
        return TrialContext(
            seed,
            stage,
            self.adapter.name,
            self.category(part),
            self.device,
            scratch,
            self.weights,
            progress=lambda done, total, note="": steps.append(done),
            steps=steps,
        )

    def fit_context(self, part: Part, seed: int = 0) -> TrialContext:
        return self.context(f"{self.kind}.fit", part, seed)

    def use_context(self, part: Part, seed: int = 0) -> TrialContext:
        return self.context(self.use_stage, part, seed)

    def fit(self, part: Part, context: TrialContext) -> TrialFit:
        """A new model."""
        out, before = self.new_folder("models"), randomness()
        self.learn(part, out, context)
        return TrialFit(out, context, touched_since(before))

    def fitted(self, part: Part, seed: int = 0, attempt: int = 0) -> TrialFit:
        """The fit of this seed, made once for each attempt."""
        key = (self.model_of(part), seed, attempt)
        if key not in self._fits:
            self._fits[key] = self.fit(part, self.fit_context(part, seed))
        return self._fits[key]

    def used(self, part: Part, seed: int = 0) -> Outputs:
        """What the fitted method gives for the part, computed once."""
        return self._use(part, seed)[0]

    def streams(self, part: Part, seed: int = 0) -> set[str]:
        """The random streams that the fit and the use of a part asked for."""
        return {*self.fitted(part, seed).context.streams, *self._use(part, seed)[1]}

    def _use(self, part: Part, seed: int) -> tuple[Outputs, list[str]]:
        if (part, seed) not in self._uses:
            model, context = self.fitted(part, seed).model, self.use_context(part, seed)
            self._uses[part, seed] = self.outputs(part, model, context), context.streams
        return self._uses[part, seed]

    def results(self, checks: Sequence[Check[Self]]) -> list[Result]:
        """The result of each check; all are skipped, with the reason, where weights or packages are missing.

        An error of the method itself is reported with the line of its own code.
        """
        unusable = filter(None, map(why_unusable, self.adapter.packages))
        missing = [*unusable, *self.configured().missing(self.weights)]
        if missing:
            return [Result(check.__name__, "skipped", missing[0]) for check in checks]
        return [self._result(check) for check in checks]

    def _result(self, check: Check[Self]) -> Result:
        try:
            return Result(check.__name__, "ok", check(self) or "")
        except Nonconformance as finding:
            return Result(check.__name__, "failed", str(finding))
        except Exception as error:  # whatever a method under test may raise is a finding
            sentence = sentence_of(error, code_of(self.adapter.__module__))
            return Result(check.__name__, "failed", " ".join(sentence.split()))

    def used_elsewhere(self, elsewhere: Path) -> tuple[Outputs, list[str]]:
        """What the model in `elsewhere/model` gives for the first part in a fresh process that works in that
        folder, and the heavy packages that the import of the method's module loads there."""
        torch = sys.modules.get("torch")
        job = {
            "module": self.adapter.__module__,
            "file": str(self.source),
            "name": self.adapter.__qualname__,
            "suite": [type(self).__module__, type(self).__name__],
            "preset": self.preset,
            "overrides": dict(self.overrides or {}),
            "weights": str(self.weights.resolve()) if self.weights else None,
            "device": self.device,
            "resolution": self.resolution,
            "threads": torch.get_num_threads() if torch else 0,
        }
        (elsewhere / "job.json").write_text(json.dumps(job))
        process = subprocess.run(
            [sys.executable, "-m", "bench.conformance.fresh_process"],
            capture_output=True,
            text=True,
            check=False,
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        reason = (process.stderr.strip().splitlines() or [f"it ended with status {process.returncode}"])[-1]
        need(process.returncode == 0, f"a fresh process cannot use the model: {reason}")
        with np.load(elsewhere / "outputs.npz") as arrays:
            outputs = {name: arrays[name] for name in arrays.files}
        return outputs, json.loads((elsewhere / "heavy.json").read_text())
