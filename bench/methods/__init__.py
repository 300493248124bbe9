"""The interface of generators and detectors."""

from bench.data.view import View
from bench.methods.detector import Detector, Prediction
from bench.methods.generator import Generator, Request, Sample
from bench.methods.params import Adapter, Params
from bench.methods.splits import (
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
    "View",
    "batches",
]
