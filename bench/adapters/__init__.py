"""The interface of generators and detectors."""

from bench.adapters.detector import Detector, Prediction
from bench.adapters.generator import Generator, Request, Sample
from bench.adapters.params import Adapter, Params
from bench.adapters.splits import (
    Anomalies,
    Anomaly,
    Batch,
    CategoryTrain,
    DetectorSplit,
    Images,
    TrainSplit,
    batches,
)

__all__ = [
    "Adapter",
    "Anomalies",
    "Anomaly",
    "Batch",
    "CategoryTrain",
    "Detector",
    "DetectorSplit",
    "Generator",
    "Images",
    "Params",
    "Prediction",
    "Request",
    "Sample",
    "TrainSplit",
    "batches",
]
