"""How a training batch is shared out among normals, pseudo-anomalies, real and generated defects."""

from dataclasses import replace

import numpy as np
import pytest

from bench.methods import DetectorSplit
from bench.streams import stream

ANOGEN = {"normal": 0.5, "pseudo": 0.25, "generated": 0.25}


def test_a_pseudo_share_is_of_normals_that_the_detector_is_to_change(blobs: DetectorSplit) -> None:
    batch = replace(blobs, shares=ANOGEN).draw(stream("batch"), 2000)
    assert batch.pseudo is not None
    assert batch.labels is not None
    assert batch.masks is not None
    assert batch.pseudo.mean() == pytest.approx(0.25, abs=0.03)
    assert (batch.labels >= 0).mean() == pytest.approx(0.25, abs=0.03)
    assert not batch.masks[batch.pseudo].any()
    assert (batch.labels[batch.pseudo] == -1).all()


def test_normals_stand_at_the_same_places_whatever_the_other_shares_are(blobs: DetectorSplit) -> None:
    one = replace(blobs, shares=ANOGEN).draw(stream("batch"), 64)
    other = replace(blobs, shares={"normal": 0.5, "real": 0.5}).draw(stream("batch"), 64)
    assert one.labels is not None and one.pseudo is not None
    normal = (one.labels == -1) & ~one.pseudo
    assert 20 < normal.sum() < 44
    assert np.array_equal(one.images[normal], other.images[normal])


def test_pseudo_alone_is_drawn_from_the_same_normals_as_normal_alone(blobs: DetectorSplit) -> None:
    split = replace(blobs, shares=ANOGEN)
    normal, pseudo = (split.draw(stream("batch"), 16, of=(name,)) for name in ("normal", "pseudo"))
    assert np.array_equal(normal.images, pseudo.images)
    assert pseudo.pseudo is not None and pseudo.pseudo.all()


def test_some_of_the_shares_are_scaled_to_one(blobs: DetectorSplit) -> None:
    shares = {"normal": 0.5, "pseudo": 0.1, "real": 0.4}
    batch = replace(blobs, shares=shares).draw(stream("batch"), 2000, of=("pseudo", "real"))
    assert batch.pseudo is not None
    assert batch.pseudo.mean() == pytest.approx(0.2, abs=0.03)


def test_without_shares_every_image_of_the_named_pools_is_alike(blobs: DetectorSplit) -> None:
    split = replace(blobs, shares=None)
    batch = split.draw(stream("batch"), 500, of=("real", "generated"))
    assert batch.labels is not None and (batch.labels >= 0).all()
    assert (split.share("normal"), split.share("pseudo")) == (pytest.approx(12 / 36), 0.0)


def test_a_share_that_is_not_there_cannot_be_drawn(blobs: DetectorSplit) -> None:
    with pytest.raises(ValueError, match="no share of pseudo; its shares are"):
        blobs.draw(stream("batch"), 4, of=("pseudo",))


def test_a_base_is_the_image_itself_or_what_the_generator_changed(blobs: DetectorSplit) -> None:
    changed = {name: replace(pool, base=np.zeros_like(pool.images)) for name, pool in blobs.generated.items()}
    shares = {"normal": 0.4, "real": 0.3, "generated": 0.3}
    batch = replace(blobs, generated=changed, shares=shares).draw(stream("batch"), 60, with_base=True)
    assert batch.base is not None and batch.has_base is not None and batch.labels is not None
    from_generator = (batch.base == 0).all(axis=(1, 2, 3))
    assert 0 < from_generator.sum() < 40
    assert np.array_equal(batch.base[~from_generator], batch.images[~from_generator])
    assert np.array_equal(~batch.has_base, (batch.labels >= 0) & ~from_generator)
