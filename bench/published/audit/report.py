"""All rules of the audit, in the order in which they are reported."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.published.audit.contradiction import Checked, Contradiction
from bench.published.audit.counts import impossible_counts
from bench.published.audit.curves import ap_and_f1, iou_and_f1
from bench.published.audit.means import harmonic_means, means_of_categories, means_of_detectors
from bench.published.audit.siblings import same_numbers, unequal_siblings
from bench.published.paper import Paper

RULES: Mapping[str, tuple[str, Callable[[Sequence[Paper]], Iterator[Checked]]]] = {
    "mean": ("means that are not the means of their rows", means_of_categories),
    "average": ("averages over detectors that are not theirs", means_of_detectors),
    "harmonic": ("harmonic means that are not those of their parts", harmonic_means),
    "sibling": ("one quantity, printed differently in several tables", unequal_siblings),
    "same numbers": ("the same numbers under different names", same_numbers),
    "ap and f1": ("AP and F1-max that no ranking gives together", ap_and_f1),
    "iou and f1": ("IoU that is not F1 / (2 - F1), and so follows another rule", iou_and_f1),
    "counts": ("rates that cannot be counted on the test images of the split", impossible_counts),
}
"""Name of a rule to what it finds, and the rule."""


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule found."""

    rule: str
    title: str
    tested: int
    findings: tuple[Contradiction, ...]
    clean: tuple[str, ...]
    """The tables in which the rule tested something and found nothing."""


def audit(papers: Iterable[Paper]) -> tuple[RuleOutcome, ...]:
    """Every contradiction in the numbers of these papers, rule by rule, in the order of the tables."""
    shelf = tuple(papers)
    outcomes = []
    for name, (title, rule) in RULES.items():
        checked = list(rule(shelf))
        findings = tuple(contradiction for _, contradiction in checked if contradiction is not None)
        tables = dict.fromkeys(value.table for value, _ in checked)
        faulty = {table for contradiction in findings for table in contradiction.tables}
        clean = tuple(table for table in tables if table not in faulty)
        outcomes.append(RuleOutcome(name, title, len(checked), findings, clean))
    return tuple(outcomes)
