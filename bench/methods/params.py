"""Hyper-parameters of adapters: typed, validated once, frozen, with named presets."""

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.data.view import View
from bench.errors import BenchError, did_you_mean


class Params(BaseModel):
    """Base of an adapter's hyper-parameters. Defaults are the paper's values; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Adapter(ABC):
    """What generators and detectors share: a name, a version, parameters and presets.

    `version` is raised whenever the output for the same parameters and seed may change; it is part of the
    key of every task that the adapter runs. `presets` are named sets of parameters (`seas[released]`);
    every adapter declares `tiny`, which runs in seconds on a CPU and is what the conformance tests run.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    Params: ClassVar[type[BaseModel]] = Params
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    imports: ClassVar[tuple[str, ...]] = ()
    """Slow modules that the adapter imports when it works; a worker imports them once for all its tasks."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that it cannot work without, beside those that all methods need; looked for before a run."""
    frugal: ClassVar[frozenset[str]] = frozenset()
    """Of fit, sample, predict: what it does in less memory, to the same bytes, where `ctx.frugal` asks for
    it; training does under `training.spill.spilled`. Other tasks are begun again as they were."""

    def __init__(self, params: Any) -> None:
        self.params = params

    @classmethod
    def configure(cls, preset: str | None = None, overrides: Mapping[str, Any] | None = None) -> Self:
        """An adapter with the defaults, then the preset, then the overrides.

        Raises BenchError, in one sentence, for an unknown preset, an unknown parameter or a bad value.
        """
        if preset is not None and preset not in cls.presets:
            raise BenchError(did_you_mean("preset", preset, cls.presets, of=cls.name))
        values = {**(cls.presets[preset] if preset else {}), **(overrides or {})}
        for name in values:
            if name not in cls.Params.model_fields:
                raise BenchError(did_you_mean("parameter", name, cls.Params.model_fields, of=cls.name))
            kind = cls.Params.model_fields[name].annotation
            if isinstance(values[name], bool) and bool not in (
                kind,
                *get_args(kind),
            ):  # would be taken for 1
                raise BenchError(
                    f"parameter '{name}' of '{cls.name}' cannot be {values[name]}: it is not a yes or no"
                )
        try:
            return cls(cls.Params(**values))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            why = message[:1].lower() + message[1:]
            if not where:
                raise BenchError(f"the parameters of '{cls.name}' do not go together: {why}") from None
            raise BenchError(
                f"parameter '{where}' of '{cls.name}' cannot be {first['input']!r}: {why}"
            ) from None

    def view(self, category: str = "") -> View | None:
        """The side and the fit at which these parameters want the images of a category, from the files.

        None: the whole image at the size at which the protocol scores. All categories of a fit have one side.
        """
        return None

    def missing(self, weights: Path | None = None) -> list[str]:
        """One sentence for each thing (weight file, package) that this adapter needs and cannot find.

        Asked before any work starts. `weights` is the folder of local weight files, or None.
        """
        return []

    def weights_digest(self, weights: Path | None = None) -> str:
        """A digest of weight files that the parameters name without saying what is in them; "" where none do.

        Part of the keys of this adapter's tasks. Asked only where nothing is missing.
        """
        return ""
