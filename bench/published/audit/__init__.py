"""The audit: what the papers' own numbers say against each other."""

from bench.published.audit.finding import Finding
from bench.published.audit.report import RULES, Outcome, audit

__all__ = ["RULES", "Finding", "Outcome", "audit"]
