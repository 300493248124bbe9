"""The sentences that every page carries above its numbers, and what records themselves say of them.

A plan is written by whoever made the store. The sentences that a data set, features, a protocol and a scale
ask for stand on a page also where a plan leaves them out: its records name all four.
"""

from collections.abc import Iterable

from bench.errors import BenchError
from bench.methods import registry
from bench.planning.protocol_file import load_protocol
from bench.planning.spec import ProtocolSpec
from bench.record.record import Record
from bench.sample.spec import CATEGORIES

SAMPLE_NOTE = "built-in sample data set, rendered by code: its numbers say nothing about any real product"
SAMPLE = "sample"
"""What records call that data set."""
_EMBEDDED = (
    "Generation metrics use EfficientNet-Lite0 features (embedded), not Inception or LPIPS; they compare "
    "with nothing published."
)


def banner(*, is_sample: bool, is_embedded: bool, spec: ProtocolSpec | None, scale: str) -> str:
    """What every page says above its numbers; spec: None where the protocol is not known here."""
    return _joined(_sentences(is_sample, is_embedded, spec, scale))


def banner_of(stated: str, measured: Iterable[Record]) -> str:
    """What a plan states, behind each sentence that its records ask for and it leaves out."""
    records = [record for record in measured if record.status == "ok" and record.level != "cost"]
    if not records:
        return stated
    required = _sentences(
        any(record.dataset == SAMPLE and record.category in CATEGORIES for record in records),
        any(record.features.startswith("embedded") for record in records),
        _built_in(records[0]),
        records[0].scale,
    )
    flat = _joined([stated])
    return _joined([*(sentence for sentence in required if _joined([sentence]) not in flat), stated])


def _sentences(is_sample: bool, is_embedded: bool, spec: ProtocolSpec | None, scale: str) -> list[str]:
    notes = [spec.note, spec.scales[scale].note if scale in spec.scales else ""] if spec else []
    return [f"This is the {SAMPLE_NOTE}." if is_sample else "", _EMBEDDED if is_embedded else "", *notes]


def _joined(sentences: Iterable[str]) -> str:
    return " ".join(" ".join(sentences).split())


def _built_in(record: Record) -> ProtocolSpec | None:
    """The protocol of a record in the version that the record names; None where that is not known here."""
    if record.protocol not in registry.protocols():
        return None
    try:
        spec = load_protocol(record.protocol)
    except BenchError:
        return None
    return spec if spec.version == record.protocol_version else None
