"""What adapters are given: images of the training side, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from bench.data.pool import Pool

POOLS = ("normal", "real", "generated")
Member = TypeVar("Member")


class Anomaly(NamedTuple):
    """One real defect: image uint8 [H, W, 3], mask bool [H, W], depth float32 [H, W] or None."""

    image: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None


class Images(Sequence[np.ndarray]):
    """A lazy sequence of RGB images, uint8 [H, W, 3], read from a memory map."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return np.array(self.pool.images[index])


class Anomalies(Sequence[Anomaly]):
    """A lazy sequence of the real defects of one type, in file order."""

    def __init__(self, pool: Pool, indices: Sequence[int]) -> None:
        self.pool = pool
        self.indices = tuple(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.indices[index]
        depth = None if self.pool.depth is None else np.array(self.pool.depth[row])
        return Anomaly(np.array(self.pool.images[row]), np.array(self.pool.mask(row)), depth)


@dataclass(frozen=True)
class CategoryTrain:
    """The training side of one category: all of train/good, and the real third of each defect type."""

    name: str
    normal: Images
    anomalies: Mapping[str, Anomalies]


@dataclass(frozen=True)
class TrainSplit:
    """What a generator may see. Every image is `resolution` x `resolution`."""

    categories: Mapping[str, CategoryTrain]
    resolution: int


class Batch(NamedTuple):
    """A batch of `B` examples.

    images uint8 [B, H, W, 3]; masks bool [B, H, W] (all false for normal images), None at prediction;
    labels int64 [B], index into `DetectorSplit.classes`, -1 for normal images, None at prediction;
    depth float32 [B, H, W] or None.
    """

    images: np.ndarray
    masks: np.ndarray | None = None
    labels: np.ndarray | None = None
    depth: np.ndarray | None = None


@dataclass(frozen=True)
class DetectorSplit:
    """What a detector is trained on: pools of normal, real (the third) and generated examples.

    `shares` says how a batch is drawn: the pool of each example is drawn with these probabilities (they sum
    to 1), then a defect class of it uniformly, then an example of the class uniformly. None draws uniformly
    from the concatenation of all pools, which is what "no balancing" means in released code.
    """

    categories: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]
    """(category, defect) pairs, sorted; what labels and logits index."""
    resolution: int
    normal: Mapping[str, Pool]
    """Category to its pool; likewise below."""
    real: Mapping[str, Pool]
    generated: Mapping[str, Pool]
    shares: Mapping[str, float] | None = None
    _rows: dict[str, list] = field(default_factory=dict, init=False, repr=False, compare=False)

    def draw(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch of `size` examples, a function of `rng` alone.

        Two splits with the same normals and the same share of them draw the same normals at the same places
        of a batch, whatever their other pools hold: differences between training sets are paired.
        """
        return self._gather([self._row_at(*place) for place in rng.random((size, 3))])

    def draw_anomalies(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch of anomalous examples alone, as classifiers of defect types are trained."""
        anomalous = [
            (pool, row, label) for name in ("real", "generated") for pool, row, label in self._all(name)
        ]
        picked = rng.integers(len(anomalous), size=size)
        return self._gather([anomalous[row] for row in picked])

    def count(self, pool: str) -> int:
        """The number of examples in the pool `normal`, `real` or `generated`."""
        return len(self._all(pool))

    def _all(self, name: str) -> list[tuple[Pool, int, int]]:
        if name not in self._rows:
            labels = {pair: i for i, pair in enumerate(self.classes)}
            pools: Mapping[str, Pool] = getattr(self, name)
            self._rows[name] = [
                (pool, row, labels.get((category, defect), -1))
                for category, pool in pools.items()
                for row, defect in enumerate(pool.defects)
            ]
        return self._rows[name]

    def _joined(self, names: Sequence[str]) -> list[tuple[Pool, int, int]]:
        key = "+".join(names)
        if key not in self._rows:
            self._rows[key] = [member for name in names for member in self._all(name)]
        return self._rows[key]

    def _by_class(self, name: str) -> list[list[tuple[Pool, int, int]]]:
        key = f"{name}/classes"
        if key not in self._rows:
            groups: dict[tuple[int, int], list[tuple[Pool, int, int]]] = {}
            for pool, row, label in self._all(name):
                groups.setdefault((id(pool), label), []).append((pool, row, label))
            self._rows[key] = list(groups.values())
        return self._rows[key]

    def _row_at(self, pool_at: float, class_at: float, row_at: float) -> tuple[Pool, int, int]:
        """The example at these places, each in [0, 1)."""
        if self.shares is None:
            return _at(self._joined(POOLS), row_at)
        reached = 0.0
        for name in POOLS:
            reached += self.shares.get(name, 0.0)
            if pool_at < reached:
                break
        return _at(_at(self._by_class(name), class_at), row_at)

    def _gather(self, rows: Sequence[tuple[Pool, int, int]]) -> Batch:
        images = np.stack([pool.images[row] for pool, row, _ in rows])
        masks = np.stack([pool.mask(row) for pool, row, _ in rows])
        labels = np.array([label for *_, label in rows], dtype=np.int64)
        depth = None
        if all(pool.depth is not None for pool, *_ in rows):
            depth = np.stack([pool.depth[row] for pool, row, _ in rows if pool.depth is not None])
        return Batch(images, masks, labels, depth)


def _at(members: Sequence[Member], place: float) -> Member:
    return members[int(place * len(members))]


def batches(pool: Pool, size: int) -> Iterator[Batch]:
    """The pool in order, in batches for prediction: images (and depth) only."""
    for start in range(0, len(pool), size):
        part = slice(start, start + size)
        depth = None if pool.depth is None else np.asarray(pool.depth[part])
        yield Batch(np.asarray(pool.images[part]), depth=depth)
