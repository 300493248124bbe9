"""What a reader may filter a page by."""

from collections.abc import Iterable

Choices = tuple[tuple[str, tuple[str, ...]], ...]
"""(attribute, values) pairs."""


def choices(**values: Iterable[str]) -> Choices:
    """Filters with at least two values to choose from."""
    distinct = (
        (name, tuple(sorted({value for value in of_name if value and value != "none"})))
        for name, of_name in values.items()
    )
    return tuple((name, of_name) for name, of_name in distinct if len(of_name) > 1)
