"""Random flips and quarter turns of image-mask pairs."""

import numpy as np

from bench.methods import Batch


def augment(batch: Batch, name: str, rng: np.random.Generator) -> Batch:
    """The batch with each example and its mask turned alike: by `none`, `flips` or `dihedral`."""
    if name == "none" or batch.masks is None:
        return batch
    images, masks = batch.images.copy(), batch.masks.copy()
    # Half a turn and a mirror make all four flips.
    turns = 2 * rng.integers(2, size=len(images)) if name == "flips" else rng.integers(4, size=len(images))
    mirrored = rng.integers(2, size=len(images)).astype(bool)
    for i, (turn, mirror) in enumerate(zip(turns, mirrored, strict=True)):
        for array in (images, masks):
            turned = np.rot90(array[i], turn)
            array[i] = turned[:, ::-1] if mirror else turned
    return batch._replace(images=images, masks=masks)
