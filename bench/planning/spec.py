"""What a protocol's file may say, with the types and bounds that are checked as it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.errors import BenchError, did_you_mean
from bench.toml import TOMLDecodeError, parse_toml

Pool = Literal["normal", "pseudo", "generated", "real"]
Scored = Literal["near-duplicates", "anomalies", "normals"]
Selection = Literal["last", "test-oracle"]
Modality = Literal["rgb", "depth", "rgb+depth"]
IcLpipsRule = Literal["default", "anomalyhybrid", "ojha", "seas", "dfmgan"]
KidRule = Literal["default", "subset"]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MethodSpec(_Spec):
    """What a protocol lays down for a method: how much one fit covers, how it draws, its parameters."""

    scope: Literal["dataset", "category", "defect"] | None = None
    balanced: bool = True
    """False: every image of every pool alike, whatever the mix says."""
    params: dict[str, Any] = {}


class SampleSizes(_Spec):
    """Sizes of the built-in sample data set: side in pixels, images per category, images per defect type."""

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
    ic_lpips: tuple[IcLpipsRule, ...] | None = None
    """Dialects of IC-LPIPS at this scale; None for the protocol's. The default is recorded in any case."""
    kid: tuple[KidRule, ...] | None = None
    """Dialects of KID, likewise."""
    seeds: list[int]
    generators: list[str]
    detectors: list[str]
    modalities: tuple[Modality, ...] = ("rgb",)
    """What detectors of colour images see: these, the depth as images, or the mean of both answers."""
    note: str = ""
    """A sentence that every page at this scale carries."""
    sample: SampleSizes = SampleSizes()
    methods: dict[str, MethodSpec] = {}

    @field_validator("modalities", "ic_lpips", "kid", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """`--set modalities=rgb,depth` is a list too."""
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @field_validator("modalities")
    @classmethod
    def _no_modality_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name each of rgb, depth, rgb+depth at most once, and one at least")
        return value


class MixSpec(_Spec):
    """A kind of training set: the share of a batch that is drawn from each pool of images."""

    normal: float = Field(default=0.0, ge=0, le=1)
    pseudo: float = Field(default=0.0, ge=0, le=1)
    generated: float = Field(default=0.0, ge=0, le=1)
    real: float = Field(default=0.0, ge=0, le=1)
    generated_normals: bool = False
    """Whether a generator's normal images stand beside those of train/good."""

    @property
    def shares(self) -> dict[str, float]:
        """The shares that the file states, by pool."""
        return {pool: getattr(self, pool) for pool in get_args(Pool) if pool in self.model_fields_set}

    @property
    def needs_generator(self) -> bool:
        return "generated" in self.shares or self.generated_normals


class RowsSpec(_Spec):
    """The rows of the leaderboard, by their mixes and in their order."""

    alone: tuple[str, ...]
    """Mixes that need no generator: one row per detector."""
    generated: tuple[str, ...]
    """Mixes with images of a generator: one row per detector and generator."""


class ProtocolSpec(_Spec):
    """A protocol's TOML file."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)
    version: int
    title: str
    question: str = ""
    """What the protocol asks, and of which paper; its first line is what `bench list` shows."""
    note: str = ""
    """A sentence that every page of the protocol carries."""
    split: str
    counts: Path | None = None
    """File of the published counts of the data set that it is named after: a folder that claims to be this
    data set must agree with them."""
    baseline: str
    """The mix, of no generator, that gains are counted from."""
    score: tuple[Scored, ...] = get_args(Scored)
    """What is scored beside the detectors: near-duplicates across the split, generated anomalies (of colour,
    and of depth where detectors see it), and generated normal images."""
    ic_lpips: tuple[IcLpipsRule, ...] = ("default",)
    """Dialects of IC-LPIPS. The default is recorded in any case."""
    kid: tuple[KidRule, ...] = ("default",)
    """Dialects of KID, likewise."""
    rows: RowsSpec
    mixes: dict[str, MixSpec]
    detectors: dict[str, MethodSpec] = {}
    scales: dict[str, Scale]

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> "ProtocolSpec":
        for name, mix in self.mixes.items():
            if abs(sum(mix.shares.values()) - 1) > 1e-9:
                raise ValueError(f"the shares of mix '{name}' are {mix.shares}, which do not sum to 1")
        return self

    @model_validator(mode="after")
    def _rows_name_mixes_of_their_kind(self) -> "ProtocolSpec":
        for key, mixes in (("rows.alone", self.rows.alone), ("rows.generated", self.rows.generated)):
            for mix in mixes:
                if mix not in self.mixes:
                    raise ValueError(f"{key}: {did_you_mean('mix', mix, self.mixes)}")
                if self.mixes[mix].needs_generator != (key == "rows.generated"):
                    needs = "needs a generator" if key == "rows.alone" else "holds no generated images"
                    raise ValueError(f"{key}: mix '{mix}' {needs}")
            if len(set(mixes)) < len(mixes):
                raise ValueError(f"{key} names a mix twice: {', '.join(mixes)}")
        if self.baseline not in self.rows.alone:
            raise ValueError(
                f"baseline: {did_you_mean('row', self.baseline, self.rows.alone, of='rows.alone')}"
            )
        return self

    def scale(self, name: str) -> Scale:
        if name not in self.scales:
            raise BenchError(did_you_mean("scale", name, self.scales, of=self.name))
        return self.scales[name]


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
    """A scale with the settings that name its counts; BenchError for a wrong name or value."""
    counts = (
        *("resolution", "generated_per_type", "chunk", "replicates", "selection", "modalities"),
        *("ic_lpips", "kid"),
    )
    for name, value in settings.items():
        if name not in counts:
            raise BenchError(did_you_mean("setting", name, counts, of="--set"))
        if isinstance(value, bool):  # would be taken for 1
            raise BenchError(f"--set: {name} cannot be {value}: it is no yes or no")
    try:
        return Scale(**{**scale.model_dump(), **settings})
    except ValidationError as error:
        raise BenchError(f"--set: {fault(error)[1]}") from None


def fault(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """The key that a validation stumbled over, and the sentence about it.

    An unknown key goes first: a misspelt one is missing as well.
    """
    faults = sorted(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    first, key = faults[0], ".".join(str(part) for part in faults[0]["loc"])
    if first["type"] == "extra_forbidden":
        return first["loc"], f"unknown key '{key}' (given: {first['input']!r})"
    if first["type"] == "missing":
        return first["loc"], f"'{key}' is missing"
    value = f" (given: {first['input']!r})" if key else ""
    reason = first["msg"].removeprefix("Value error, ")
    return first["loc"], f"{key + ': ' if key else ''}{reason[:1].lower()}{reason[1:]}{value}"
