"""The audit: what the papers' own numbers say against each other."""

from bench.published.audit.contradiction import Contradiction
from bench.published.audit.report import RULES, RuleOutcome, audit

__all__ = ["RULES", "Contradiction", "RuleOutcome", "audit"]
