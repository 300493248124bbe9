"""What a request may ask of a generator, checked before the first image is made."""

from bench.errors import BenchError, did_you_mean
from bench.methods import CategoryTrain, Request, TrainSplit


def requested_category(
    generator: str, data: TrainSplit, request: Request, normals: bool = False
) -> CategoryTrain:
    """The category of the request, with at least one normal image.

    Raises BenchError for an unknown category, for normal images unless the generator makes `normals`, and for
    a category without normal training images.
    """
    if request.category not in data.categories:
        raise BenchError(did_you_mean("category", request.category, data.categories))
    if request.defect == "good" and not normals:
        raise BenchError(
            f"'{generator}' makes no normal images, but 'good' of '{request.category}' was asked for"
        )
    category = data.categories[request.category]
    if len(category.normal) == 0:
        raise BenchError(
            f"'{generator}' needs normal images, and train/good of '{request.category}' is empty; add some"
        )
    return category


def refuse_types(generator: str, request: Request) -> None:
    """Raise BenchError unless the request asks for anomalies of no particular type."""
    if request.defect != "any":
        raise BenchError(
            f"'{generator}' knows no defect types, but '{request.defect}' of '{request.category}' "
            "was asked for; ask for 'any'"
        )
