"""DefectBench: measures generators of industrial defect images, and what their images are worth."""

from bench.api import compare, ingest, load, run, score, verify

__all__ = ["compare", "ingest", "load", "run", "score", "verify"]
