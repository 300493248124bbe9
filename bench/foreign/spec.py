"""What the TOML file of a foreign method says."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.data.view import Fit, View
from bench.errors import BenchError
from bench.files import file_text
from bench.toml import parse_toml

PLACES = frozenset(
    {"data", "out", "model", "images", "category", "defect", "count", "start", "stop"}
    | {"seed", "resolution", "device", "here"}
)
"""What a command may name in braces, beside {params.x}."""
_PLACE = re.compile(r"\{([^{}]*)\}")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
ParamName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Command = Annotated[list[str], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """Beyond which the command is ended and the task fails."""

    minutes: float = Field(default=1440, gt=0)
    memory_gb: float = Field(default=64, gt=0)
    """Resident memory of the command and all that it starts."""
    disk_gb: float = Field(default=100, gt=0)
    """What it writes below its folders."""


class OwnView(_Part):
    """`bench.methods.View`."""

    side: int = Field(ge=16)
    fit: Fit = "stretch"
    short_side: int | None = None

    @model_validator(mode="after")
    def _can_be(self) -> "OwnView":
        self.view()
        return self

    def view(self) -> View:
        return View(self.side, self.fit, self.short_side)


class ForeignSpec(_Part):
    """One method. Commands are lists of words; no shell reads them."""

    kind: Literal["generator", "detector"]
    name: Name
    version: int = Field(ge=1)
    about: str = Field(min_length=1)
    """Where it comes from, its licence, the versions that it needs: for people."""
    scope: Literal["dataset", "category", "defect"] = "category"
    needs: list[Literal["normal", "anomalies", "masks", "types", "depth"]] = []
    yields: list[Literal["anomaly", "mask", "type", "normal"]] = []
    task: Literal["segmentation", "anomaly"] = "segmentation"
    trains_on: list[Literal["normal", "real", "generated"]] = ["normal", "real", "generated"]
    params: dict[ParamName, bool | int | float | str] = {}
    """Name to default; `--set NAME.key=value` changes one, commands name it {params.key}."""
    requires: list[str] = []
    """Programs, or paths, that must be there before any work starts; they may name {params.x} and {here}."""
    env: dict[str, str] = {}
    limits: Limits = Limits()
    view: OwnView | None = None
    """How images are made for it from the original files; None: at the protocol's size."""
    fit: Command | None = None
    sample: Command | None = None
    predict: Command | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ForeignSpec":
        if (self.sample is None) == (self.kind == "generator"):
            raise ValueError("a generator has the command sample, and a detector has not")
        if (self.predict is None) == (self.kind == "detector"):
            raise ValueError("a detector has the command predict, and a generator has not")
        if self.kind == "detector" and self.scope == "defect":
            raise ValueError("the scope of a detector is dataset or category")
        if self.kind == "generator" and not self.yields:
            raise ValueError("yields is empty; say what the generator makes")
        if reserved := [name for name in self.params if name.startswith("model_")]:
            raise ValueError(f"params.{reserved[0]}: names that begin with model_ are taken; choose another")
        words = [*(self.fit or ()), *(self.sample or ()), *(self.predict or ()), *self.requires]
        for word in [*words, *self.env.values()]:
            for placeholder in _PLACE.findall(word):
                if placeholder not in PLACES and placeholder.removeprefix("params.") not in self.params:
                    raise ValueError(
                        f"'{word}' names {{{placeholder}}}, which is neither a place nor a parameter"
                    )
        return self


def load_foreign(path: Path) -> ForeignSpec:
    """Read a TOML file. Raises BenchError, in one sentence, where it is not such a file."""
    try:
        return ForeignSpec(**parse_toml(file_text(path)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise BenchError(f"plug-in file {path}: {f'{where}: ' if where else ''}{message}") from None
    except (OSError, ValueError, TypeError) as error:
        raise BenchError(f"plug-in file {path} cannot be read: {error}") from None


def filled(words: list[str], places: dict[str, Any]) -> list[str]:
    """The words with every {place} replaced by its value."""
    return [_PLACE.sub(lambda match: str(places[match[1]]), word) for word in words]
