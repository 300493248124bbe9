"""What adapters are given: images of the training side, and nothing else."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from bench.data.pool import Pool

POOLS = ("normal", "real", "generated")
SHARES = ("normal", "pseudo", "real", "generated")
"""What a batch can be made of; normal stands first, so that equal shares of it are drawn at equal places."""
Member = TypeVar("Member")
Row = tuple[Pool, int, int]
"""A pool, a row of it, and the label of that row."""


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
    derived: Path | None = None
    """Folder of what the generator's `derive` made of this category; None where nobody asked it to."""


@dataclass(frozen=True)
class TrainSplit:
    """What a generator may see. Every image is `resolution` x `resolution`."""

    categories: Mapping[str, CategoryTrain]
    resolution: int


class Batch(NamedTuple):
    """A batch of `B` examples.

    images uint8 [B, H, W, 3]; masks bool [B, H, W] (all false for normal images), None at prediction;
    labels int64 [B], index into `DetectorSplit.classes`, -1 for normal images, None at prediction;
    depth float32 [B, H, W] or None;
    pseudo bool [B]: true where the detector is to change this normal image into a pseudo-anomaly of its own
    making, None at prediction;
    base uint8 [B, H, W, 3], where asked for: the image before its defect. A normal image is its own base, a
    generated one has the image that its generator changed, if that is known; else has_base bool [B] is
    false and the base is the image itself.
    """

    images: np.ndarray
    masks: np.ndarray | None = None
    labels: np.ndarray | None = None
    depth: np.ndarray | None = None
    pseudo: np.ndarray | None = None
    base: np.ndarray | None = None
    has_base: np.ndarray | None = None


@dataclass(frozen=True)
class DetectorSplit:
    """What a detector is trained on: pools of normal, real (the third) and generated examples.

    `shares` says how a batch is drawn: the pool of each example is drawn with these probabilities (they sum
    to 1), then a defect class of it uniformly, then an example of the class uniformly. None draws uniformly
    from the concatenation of all pools, which is what "no balancing" means in released code.

    A share may also be `pseudo`, which is not a pool: a normal image, drawn as they are, that detectors which
    make their own anomalies (DRAEM, GLASS) turn into one. `Batch.pseudo` says which these are.
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

    def draw(
        self,
        rng: np.random.Generator,
        size: int,
        of: Collection[str] = SHARES,
        with_base: bool = False,
    ) -> Batch:
        """A batch of `size` examples, a function of `rng` alone; `of` these shares only, scaled to sum to 1.

        Two splits with the same normals and the same share of them draw the same normals at the same places
        of a batch, whatever their other pools hold: differences between training sets are paired. Likewise a
        draw of `pseudo` alone gives the normals that a draw of `normal` alone gives.

        ValueError where the split has nothing of what `of` names.
        """
        members = [self._drawn_at(position, of) for position in rng.random((size, 3))]
        batch = self._gather([row for _, row in members])
        batch = batch._replace(pseudo=np.array([name == "pseudo" for name, _ in members]))
        return _with_base(batch, [row for _, row in members]) if with_base else batch

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

    def _all(self, name: str) -> list[Row]:
        if name not in self._rows:
            labels = {pair: i for i, pair in enumerate(self.classes)}
            pools: Mapping[str, Pool] = getattr(self, name)
            self._rows[name] = [
                (pool, row, labels.get((category, defect), -1))
                for category, pool in pools.items()
                for row, defect in enumerate(pool.defects)
            ]
        return self._rows[name]

    def _joined(self, names: Sequence[str]) -> list[Row]:
        key = "+".join(names)
        if key not in self._rows:
            self._rows[key] = [member for name in names for member in self._all(name)]
        return self._rows[key]

    def _by_class(self, name: str) -> list[list[Row]]:
        key = f"{name}/classes"
        if key not in self._rows:
            groups: dict[tuple[int, int], list[Row]] = {}
            for pool, row, label in self._all(name):
                groups.setdefault((id(pool), label), []).append((pool, row, label))
            self._rows[key] = list(groups.values())
        return self._rows[key]

    def share(self, name: str) -> float:
        """The expected share of a batch that is `normal`, `pseudo`, `real` or `generated`."""
        if self.shares is not None:
            return self.shares.get(name, 0.0)
        return self.count(name) / max(len(self._joined(POOLS)), 1) if name in POOLS else 0.0

    def _drawn_at(self, position: np.ndarray, of: Collection[str]) -> tuple[str, Row]:
        """The example at these three places, each in [0, 1), and the share that it was drawn for."""
        pool_at, class_at, row_at = position
        names = [name for name in SHARES if name in of and self.share(name) > 0]
        if not names:
            raise ValueError(f"the split has no share of {', '.join(of)}; its shares are {self.shares}")
        if self.shares is None:
            return "", _at(self._joined(names), row_at)
        # Shares that sum to 1 are not divided by their sum, which may be off by a rounding.
        total = 1.0 if set(of) >= set(SHARES) else sum(self.shares[name] for name in names)
        reached = 0.0
        for name in names:
            reached += self.shares[name]
            if pool_at * total < reached:
                break
        return name, _at(_at(self._by_class("normal" if name == "pseudo" else name), class_at), row_at)

    def _gather(self, rows: Sequence[Row]) -> Batch:
        images = np.stack([pool.images[row] for pool, row, _ in rows])
        masks = np.stack([pool.mask(row) for pool, row, _ in rows])
        labels = np.array([label for *_, label in rows], dtype=np.int64)
        depth = None
        if all(pool.depth is not None for pool, *_ in rows):
            depth = np.stack([pool.depth[row] for pool, row, _ in rows if pool.depth is not None])
        return Batch(images, masks, labels, depth)


def _with_base(batch: Batch, rows: Sequence[Row]) -> Batch:
    """The batch with the image before the defect, where it is known."""
    base, has_base = batch.images.copy(), np.ones(len(rows), dtype=bool)
    for i, (pool, row, _) in enumerate(rows):
        if pool.base is not None:
            base[i] = pool.base[row]
        elif pool.defects[row] != "good":
            has_base[i] = False
    return batch._replace(base=base, has_base=has_base)


def _at(members: Sequence[Member], position: float) -> Member:
    return members[int(position * len(members))]


def batches(pool: Pool, size: int) -> Iterator[Batch]:
    """The pool in order, in batches for prediction: images (and depth) only."""
    for start in range(0, len(pool), size):
        part = slice(start, start + size)
        depth = None if pool.depth is None else np.asarray(pool.depth[part])
        yield Batch(np.asarray(pool.images[part]), depth=depth)
