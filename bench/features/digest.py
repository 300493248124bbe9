"""Which weights a feature profile uses, for the keys of tasks: found before any work starts."""

from pathlib import Path

from bench.errors import BenchError, did_you_mean
from bench.features.weights import WeightsMissingError, find_weights
from bench.store.store import file_sha256


def features_digest(name: str, weights_dir: Path | None) -> str:
    """sha256 of the weight files of a profile, joined by commas in a fixed order.

    Finds (or downloads) each file. Raises BenchError with what to do where one cannot be had.
    """
    try:
        if name == "embedded":
            from bench.features.embedded import embedded_weights

            files = [embedded_weights()]
        elif name == "canonical":
            from bench.features.weights import INCEPTION_2015, VGG16

            files = [find_weights(published, weights_dir) for published in (INCEPTION_2015, VGG16)]
        else:
            raise BenchError(did_you_mean("features", name, ("canonical", "embedded")))
    except WeightsMissingError as error:
        raise BenchError(str(error)) from None
    return ",".join(file_sha256(path) for path in files)
