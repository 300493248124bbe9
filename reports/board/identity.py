"""What a row and a column of a leaderboard are.

A row is one way to train: without a generator (the real third only, say), or with one in a mix. A column is
one measurement: a metric in a dialect, taken with one detector (or with none, for the images themselves).
"""

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.record import catalogue
from bench.record.labels import detector_on
from bench.record.record import Record

_TURNING = frozenset({"R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"})


@dataclass(frozen=True)
class Method:
    """A generator or a detector with all that makes it another method under the same name."""

    name: str
    variant: str = ""
    params: str = ""
    version: int = 0

    def __str__(self) -> str:
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    # The keys of every cell of a leaderboard hold methods: their hashes are kept.
    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.name, self.variant, self.params, self.version))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True)
class Row:
    """One way to train, or for the images themselves one generator."""

    mix: str
    generator: Method
    kind: str = "measured"
    source: str = ""

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.mix, self.generator, self.kind, self.source))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def of(cls, record: Record) -> "Row":
        source = record.source if record.kind == "published" else ""
        return _row(
            record.mix,
            record.generator,
            record.generator_variant,
            record.generator_params,
            record.generator_version,
            record.kind,
            source,
        )

    def order(self) -> tuple[object, ...]:
        return (
            self.kind != "measured",
            mix_position(self.mix),
            self.generator.name,
            self.generator.variant,
            self.generator.version,
            self.generator.params,
            self.source,
        )


@dataclass(frozen=True)
class Column:
    """One measurement that rows are compared in."""

    level: str
    metric: str
    dialect: str
    detector: Method
    unit: str = field(default="fraction", compare=False)
    direction: str = field(default="higher", compare=False)
    # Not part of the identity: a cell that failed need not know the unit of the metric it has not computed.

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.level, self.metric, self.dialect, self.detector))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def of(cls, record: Record) -> "Column":
        return _column(
            (record.level, record.metric, record.dialect),
            record.detector,
            record.modality,
            record.detector_variant,
            record.detector_params,
            record.detector_version,
            record.unit,
            record.direction,
        )

    @property
    def sign(self) -> int:
        """+1 where a larger value is better, -1 where a smaller one is."""
        return -1 if self.direction == "lower" else 1

    @property
    def is_generation(self) -> bool:
        return self.level.startswith("generation")

    def order(self) -> tuple[object, ...]:
        return (
            self.detector.name != "none",
            self.detector.name,
            self.detector.variant,
            self.detector.version,
            self.detector.params,
            catalogue.position(self.level, catalogue.levels()),
            catalogue.position(self.metric, catalogue.metrics()),
            self.dialect != "default",
            self.dialect,
        )


# Of a hundred thousand records a few dozen rows and columns are made, once each.
@functools.cache
def _row(mix: str, name: str, variant: str, params: str, version: int, kind: str, source: str) -> Row:
    return Row(mix, Method(name, variant, params, version), kind, source)


@functools.cache
def _column(
    measured: tuple[str, str, str],
    name: str,
    modality: str,
    variant: str,
    params: str,
    version: int,
    *unit: str,
) -> Column:
    return Column(*measured, Method(detector_on(name, modality), variant, params, version), *unit)


def method_labels(methods: Iterable[Method]) -> dict[Method, str]:
    """A unique label each: a version or a digest of parameters is added only where names are the same."""
    distinct = sorted(
        set(methods), key=lambda method: (method.name, method.variant, method.version, method.params)
    )
    plain = Counter(str(method) for method in distinct)
    versioned = Counter((str(method), method.version) for method in distinct)
    labels = {}
    for method in distinct:
        label = str(method)
        if plain[label] > 1 and versioned[label, method.version] < plain[label]:
            label += f" v{method.version}"
        if versioned[str(method), method.version] > 1:
            label += f" ({method.params[:8] or 'default'})"
        labels[method] = _isolated(label)
    return labels


def _isolated(name: str) -> str:
    """A name that cannot turn round the sentence it stands in, should it hold right-to-left text."""
    plain = all(unicodedata.bidirectional(letter) not in _TURNING for letter in name)
    return name if plain else f"\u2068{name}\u2069"


def baseline_name(records: Iterable[Record]) -> str:
    """What to call training on real images alone: "real third only", or the number of shots."""
    shots = sorted({record.shots for record in records if record.mix == "real"}) or ["third"]
    return " / ".join("real third only" if shot == "third" else f"real only, {shot}-shot" for shot in shots)


def row_labels(rows: Iterable[Row], baseline: str = "real third only") -> dict[Row, str]:
    """What a reader calls each row: "real third only", "seas[released]"."""
    rows = list(rows)
    generators = method_labels(row.generator for row in rows)
    labels = {}
    for row in rows:
        label = baseline if row.mix == "real" else generators[row.generator]
        if row.generator.name == "none":
            label = plain_rows().get(row.mix, label)
        labels[row] = f"{label} — {row.source}" if row.source else label
    return labels


def mix_name(mix: str) -> str:
    """What a reader calls a mix; one that a protocol of a user's own defines goes by its own name."""
    entry = catalogue.mixes().get(mix)
    return entry.title if entry else mix


def mix_position(mix: str) -> tuple[int, str]:
    """To sort by mixes: those of the catalogue first, then others by their letters."""
    return catalogue.position(mix, catalogue.mixes())


def plain_rows() -> dict[str, str]:
    """What to call rows without a generator, beside the real third, by their mix."""
    return {mix: entry.plain_row for mix, entry in catalogue.mixes().items() if entry.plain_row}
