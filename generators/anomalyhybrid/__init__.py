"""AnomalyHybrid: hybrids of a reference's appearance and a target's depth and edges."""

from generators.anomalyhybrid.adapter import AnomalyHybrid, AnomalyHybridStar

__all__ = ["AnomalyHybrid", "AnomalyHybridStar"]
