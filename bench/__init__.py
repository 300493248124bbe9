"""DefectBench: measures generators of industrial defect images, and what their images are worth."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `bench --help` must not wait for pandas
    import pandas as pd


def load(
    store: str | PathLike[str] = "bench-store", run: str | None = None, *, published: bool = False
) -> pd.DataFrame:
    """The records of a store as a pandas DataFrame: one row a metric value, one column a field of `Record`.

    store: folder of the store. run: a run's name, or its beginning, as `STORE/runs` holds them; all runs by
    default, each value once. published: also what papers printed for the store's protocols.
    Numbers are float64 and Int64, missing ones NA (a value that is undefined, skipped or failed; a count that
    a paper does not state); all else is str. Raises BenchError where there is no store or no such run.

    >>> import bench
    >>> frame = bench.load("bench-store")
    >>> frame[["generator", "category", "metric", "value", "status"]]
        generator category    metric  value   status
    0        none     bolt  accuracy   0.50       ok
    1  crop_paste     bolt  accuracy   0.75       ok
    2        none     tile  accuracy   0.25       ok
    3  crop_paste     tile  accuracy   0.75       ok
    4      perlin     bolt  accuracy    NaN  skipped
    5      perlin     tile  accuracy    NaN  skipped

    Means over categories, and what a generator gains over the real third:

    >>> measured = frame[frame["status"] == "ok"]
    >>> means = measured.groupby("generator")["value"].mean()
    >>> float(means["crop_paste"] - means["none"])
    0.375

    Why a cell is empty, and what is comparable with what, stands in the row:

    >>> frame.loc[4, "note"]
    'perlin knows no defect types, so its images have no label to learn'
    >>> frame["selection"].unique().tolist()
    ['last']

    Papers' numbers come with their caveats, and are never comparable with measured ones by themselves:

    >>> both = bench.load("bench-store", published=True)
    >>> theirs = both[(both["kind"] == "published") & (both["metric"] == "accuracy")]
    >>> theirs.loc[theirs["category"] == "bottle", ["generator", "value", "source"]].head(2)
        generator  value                  source
    8     diffaug  0.488  AnomalyHybrid, Table 1
    11  crop_paste  0.527  AnomalyHybrid, Table 1
    """
    from bench.results.frame import load_frame

    return load_frame(store, run, published=published)
