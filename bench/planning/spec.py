"""Protocol specs: the numbers of a protocol, in TOML, checked as they are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.errors import BenchError, did_you_mean
from bench.toml import TOMLDecodeError, parse_toml

Shares = dict[Literal["normal", "pseudo", "real", "generated"], float]
Selection = Literal["last", "test-oracle"]
Modality = Literal["rgb", "depth", "rgb+depth"]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MethodSpec(_Spec):
    """What a protocol lays down for a method: how much one fit covers, how it draws, its parameters."""

    scope: Literal["dataset", "category", "defect"] | None = None
    balanced: bool = True
    """False: every image of every pool alike, whatever the mix says."""
    params: dict[str, Any] = {}


class SampleSizes(_Spec):
    """Sizes of the built-in sample data set: side in pixels, images a category, images a defect type."""

    size: int = 256
    train: int = 60
    test_good: int = 16
    per_defect: int = 12


class Scale(_Spec):
    """The counts of one scale."""

    preset: str = ""
    resolution: int = Field(ge=16, le=4096)
    generated_per_type: int = Field(ge=1, le=100_000)
    chunk: int = Field(default=250, ge=1)
    replicates: int = Field(ge=10, le=100_000)
    selection: Selection = "last"
    seeds: list[int]
    generators: list[str]
    detectors: list[str]
    modalities: tuple[Modality, ...] = ("rgb",)
    """What detectors of colour images see: these, the depth as images, or the mean of both answers."""
    note: str = ""
    """A sentence that every page at this scale carries."""
    sample: SampleSizes = SampleSizes()
    methods: dict[str, MethodSpec] = {}

    @field_validator("modalities", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """`--set modalities=rgb,depth` is a list too."""
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @field_validator("modalities")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name each of rgb, depth, rgb+depth at most once, and one at least")
        return value


class ProtocolSpec(_Spec):
    """A protocol's TOML file."""

    name: str
    version: int
    title: str
    split: str
    note: str = ""
    """A sentence that every page of the protocol carries."""
    mixes: dict[str, Shares]
    baseline: str
    """The mix, of no generator, that gains are counted from."""
    generated_normals: list[str] = []
    """Mixes in which a generator's normal images stand beside those of train/good."""
    ic_lpips: list[Literal["default", "anomalyhybrid"]] = ["default"]
    """Dialects of IC-LPIPS."""
    detectors: dict[str, MethodSpec] = {}
    scales: dict[str, Scale]

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> "ProtocolSpec":
        for name, shares in self.mixes.items():
            if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
                raise ValueError(f"the shares of mix '{name}' are {shares}, which do not sum to 1")
        for name in (self.baseline, *self.generated_normals):
            if name not in self.mixes:
                raise ValueError(f"there is no mix '{name}' among {', '.join(self.mixes)}")
        return self

    def scale(self, name: str) -> Scale:
        if name not in self.scales:
            raise BenchError(did_you_mean("scale", name, self.scales, of=self.name))
        return self.scales[name]


def load_spec(path: Path) -> ProtocolSpec:
    """Read and check a spec; BenchError names the file, the place and what is wrong."""
    try:
        return ProtocolSpec(**parse_toml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise BenchError(f"{path}: {_first(error)}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise BenchError(f"{path} is not valid TOML: {error}") from None


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`--set a.b=value` pairs to a dictionary; values are TOML, bare words are text, none is None."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise BenchError(f"--set {pair!r} is not of the form key=value, such as unet.epochs=3")
        try:
            value = parse_toml(f"value = {text}")["value"]
        except TOMLDecodeError:
            value = None if text.strip() in ("none", "null") else text
        settings[name.strip()] = value
    return settings


def apply_settings(scale: Scale, settings: Mapping[str, Any]) -> Scale:
    """A scale with the settings that name its own counts; BenchError for a wrong name or value."""
    own = ("resolution", "generated_per_type", "chunk", "replicates", "selection", "modalities")
    for name, value in settings.items():
        if name not in own:
            raise BenchError(did_you_mean("setting", name, own, of="--set"))
        if isinstance(value, bool):  # would be taken for 1
            raise BenchError(f"--set: {name} cannot be {value}: it is no yes or no")
    try:
        return Scale(**{**scale.model_dump(), **settings})
    except ValidationError as error:
        raise BenchError(f"--set: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    given = f" (given: {first['input']!r})" if where and first["type"] != "missing" else ""
    what = first["msg"].removeprefix("Value error, ")
    return f"{where + ': ' if where else ''}{what[:1].lower()}{what[1:]}{given}"
