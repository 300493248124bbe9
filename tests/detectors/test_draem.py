"""DRAEM: its synthesis, its losses, what it learns from which mixture, and going on after a kill."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.image import structural_similarity_index_measure

from bench.conformance.blob_split import blob_split
from bench.errors import BenchError
from bench.methods import Batch, DetectorSplit
from bench.methods.training import TrainingFailed
from bench.streams import stream
from detectors.draem.adapter import Draem
from detectors.draem.examples import examples, pseudo_anomaly, resized
from detectors.draem.model import DraemNetwork, image_scores, map_loss, reconstruction_loss, ssim
from detectors.draem.params import DraemParams
from detectors.losses import focal
from detectors.pseudo import texture_source

OWN = DraemParams(textures="procedural")
GREY = np.full((128, 128, 3), 128, np.uint8)
PSEUDO = {"normal": 0.5, "pseudo": 0.5}


def drawn(blobs: DetectorSplit, shares: dict[str, float], size: int, **params: object) -> tuple:
    batch = replace(blobs, shares=shares).draw(stream("batch"), size, with_base=True)
    options = DraemParams(textures="procedural", **params)
    made = examples(batch, options, texture_source(options, None), lambda i: stream("example", i))
    return batch, made


def test_pseudo_anomalies_are_as_large_and_as_often_empty_as_the_released_ones(released_mask) -> None:
    image, black = GREY[:64, :64], np.zeros((64, 64, 3), np.uint8)
    made = [pseudo_anomaly(image, OWN, lambda *_: black, stream("area", i))[1] for i in range(600)]
    ours = np.array([mask.mean() for mask in made])
    theirs = np.array([released_mask(64, stream("released", i)).mean() for i in range(600)])
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.15)  # about 5 %, give or take 0.13 each
    assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.15)
    assert (ours == 0).mean() == pytest.approx((theirs == 0).mean(), abs=0.04)
    assert 0.1 < ours.max() < 0.6


def test_the_share_of_the_image_in_a_pseudo_anomaly_is_uniform_up_to_the_opacity() -> None:
    # On grey 128 with a black texture, the value inside the mask is 128 times the share of the image.
    options = OWN.model_copy(update={"operations": 0})
    shares, black = [], np.zeros((128, 128, 3), np.uint8)
    for i in range(300):
        image, mask = pseudo_anomaly(GREY, options, lambda *_: black, stream("share", i))
        assert (image[~mask] == 128).all()
        if mask.any():
            shares.append(image[mask].mean() / 128)
    assert min(shares) < 0.05
    assert 0.7 < max(shares) <= 0.805
    assert np.mean(shares) == pytest.approx(0.4, abs=0.04)


def test_a_texture_is_grey_where_the_image_is_grey_if_asked() -> None:
    options = OWN.model_copy(update={"keep_grey": True, "threshold": -0.5})
    textures = texture_source(options, None)
    image, mask = pseudo_anomaly(GREY, options, textures, stream("grey"))
    assert mask.mean() > 0.5
    assert (image == image[..., :1]).all()
    coloured, _ = pseudo_anomaly(
        GREY, options.model_copy(update={"keep_grey": False}), textures, stream("grey")
    )
    assert (coloured != coloured[..., :1]).any()


def test_the_image_itself_can_take_the_place_of_a_texture(blobs: DetectorSplit) -> None:
    options = OWN.model_copy(update={"own": 1.0, "threshold": -0.5, "opacity": 0.0})
    image = np.asarray(blobs.normal["stripe"].images[0])

    def never(*_: object) -> np.ndarray:
        raise AssertionError("a texture was drawn")

    made = [pseudo_anomaly(image, options, never, stream("own", i)) for i in range(20)]
    assert all((shown[~mask] == image[~mask]).all() for shown, mask in made)
    assert np.mean([(shown != image).any() for shown, _ in made]) > 0.9
    # Darker and lighter, about alike often.
    darker = np.mean([shown[mask].mean() < image[mask].mean() for shown, mask in made])
    assert 0.2 < darker < 0.9


def test_the_mixture_of_a_batch_is_that_of_its_shares(blobs: DetectorSplit) -> None:
    batch, made = drawn(blobs, {"normal": 0.5, "pseudo": 0.25, "generated": 0.25}, 400, rotated=0.0)
    generated = batch.labels >= 0
    assert generated.mean() == pytest.approx(0.25, abs=0.06)
    assert batch.pseudo.mean() == pytest.approx(0.25, abs=0.06)
    untouched = ~generated & ~batch.pseudo
    assert np.array_equal(made.images[untouched], made.clean[untouched])
    assert not made.masks[untouched].any()
    assert np.array_equal(made.masks[generated], batch.masks[generated])
    painted = made.masks[batch.pseudo].any(axis=(1, 2))
    assert painted.mean() > 0.6
    assert np.array_equal(made.clean[batch.pseudo], batch.images[batch.pseudo])


def test_what_an_example_shows_does_not_depend_on_its_neighbours(blobs: DetectorSplit) -> None:
    _, one = drawn(blobs, PSEUDO, 12)
    _, other = drawn(blobs, {"normal": 0.5, "pseudo": 0.25, "real": 0.25}, 12)
    same = (one.images == other.images).all(axis=(1, 2, 3))
    batch = replace(blobs, shares={"normal": 0.5, "pseudo": 0.25, "real": 0.25}).draw(stream("batch"), 12)
    assert batch.labels is not None
    assert np.array_equal(same, batch.labels == -1)


def test_the_reconstruction_is_not_judged_where_the_clean_image_is_unknown(blobs: DetectorSplit) -> None:
    _, made = drawn(blobs, {"normal": 0.5, "real": 0.5}, 8, rotated=0.0)
    assert np.array_equal(made.has_clean, ~made.masks)
    clean = torch.from_numpy(made.clean).permute(0, 3, 1, 2).float() / 255
    known = torch.from_numpy(made.has_clean)
    wrong = torch.where(known[:, None], clean, torch.rand(clean.shape, generator=torch.Generator()))
    assert reconstruction_loss(wrong, clean, known).item() == pytest.approx(0, abs=1e-6)
    everywhere = torch.ones_like(known)
    assert reconstruction_loss(wrong, clean, everywhere).item() > 0.01


def test_turning_turns_image_and_mask_alike(blobs: DetectorSplit) -> None:
    bright = {"normal": 0.5, "real": 0.5}
    batch, made = drawn(blobs, bright, 40, rotated=1.0, rotation=90.0)
    for place in np.flatnonzero(batch.labels == blobs.classes.index(("disc", "dark"))):
        dark = (made.images[place].max(axis=2) < 40) & (made.images[place].max(axis=2) > 0)
        overlap = (dark & made.masks[place]).sum() / max(dark.sum(), 1)
        assert overlap > 0.6


def test_a_batch_of_another_size_keeps_what_it_shows(blobs: DetectorSplit) -> None:
    batch = replace(blobs, shares={"real": 1.0}).draw(stream("batch"), 8, with_base=True)
    small = resized(batch, 32)
    assert small.images.shape == small.base.shape == (8, 32, 32, 3)
    assert small.masks.shape == (8, 32, 32)
    assert small.masks.mean() == pytest.approx(batch.masks.mean(), abs=0.01)
    assert small.images.mean() == pytest.approx(batch.images.mean(), abs=1)
    assert resized(batch, None) is batch


def test_ssim_is_that_of_torchmetrics_away_from_the_border() -> None:
    make = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 40, 40, generator=make)
    y = (x + 0.2 * torch.rand(2, 3, 40, 40, generator=make)).clamp(0, 1)
    # Zeros beyond the border are part of our mean: with a border of zeros both are the same.
    x, y = (torch.nn.functional.pad(part, (12, 12, 12, 12)) for part in (x, y))
    theirs = structural_similarity_index_measure(x, y, data_range=1.0, sigma=1.5, kernel_size=11)
    assert ssim(x, y).item() == pytest.approx(theirs.item(), abs=2e-3)
    assert ssim(x, x).item() == pytest.approx(1.0)


def test_doubtful_anomalous_pixels_do_not_count() -> None:
    logits = torch.tensor([[[[0.0, 0.0]], [[2.0, -2.0]]]])  # probabilities 0.88 and 0.12
    masks = torch.tensor([[[True, True]]])
    cutoff = OWN.model_copy(update={"confidence_cutoff": 0.5})
    assert map_loss(logits, masks, OWN).item() == pytest.approx(focal(logits, masks.long()).item())
    sure = focal(logits[..., :1], masks[..., :1].long()).item() / 2
    assert map_loss(logits, masks, cutoff).item() == pytest.approx(sure)
    assert map_loss(logits, ~masks, cutoff).item() == pytest.approx(focal(logits, (~masks).long()).item())
    with pytest.raises(BenchError, match="confidence_cutoff is for loss=focal"):
        Draem.configure("anogen", {"loss": "ohem"})


def test_the_image_score_is_the_highest_mean_in_a_window() -> None:
    maps = torch.zeros(2, 32, 32)
    maps[0, 10:13, 10:13] = 1.0
    maps[1, 0, 0] = 1.0
    assert image_scores(maps, 3).tolist() == pytest.approx([1.0, 1 / 9])
    assert image_scores(maps, 1).tolist() == pytest.approx([1.0, 1.0])


def test_the_published_networks_have_the_published_sizes() -> None:
    with torch.device("meta"):
        network = DraemNetwork(128, 64)
    # 97.42 million in all, as papers that compare with DRAEM count them.
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 97.42


@pytest.mark.parametrize("separate", [False, True])
def test_the_map_teaches_the_reconstruction_unless_they_are_separate(separate: bool) -> None:
    network = DraemNetwork(2, 2, separate)
    _, logits = network(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    logits.sum().backward()
    reached = [p.grad is not None for p in network.reconstruct.parameters()]
    assert any(reached) != separate
    assert all(p.grad is not None for p in network.discriminate.parameters())


@pytest.mark.parametrize("side", [48, 64])
def test_any_size_of_image_keeps_its_size(side: int) -> None:
    clean, logits = DraemNetwork(2, 2)(torch.zeros(1, 3, side, side))
    assert clean.shape == (1, 3, side, side)
    assert logits.shape == (1, 2, side, side)


def test_it_learns_easy_defects_from_generated_ones_in_the_place_of_its_own(context, tmp_path: Path) -> None:
    blobs, shares = blob_split(32), {"normal": 0.5, "generated": 0.5}
    options = {
        "reconstructive_width": 6,
        "discriminative_width": 6,
        "epochs": 1,
        "epoch_size": 360,
        "batch_size": 6,
        "learning_rate": 4e-3,
        "schedule": "one_cycle",
        "rotated": 0.0,
        "recalibration_batches": 4,
        "keep_grey": True,
        "score_window": 5,
    }
    detector = Draem.configure("tiny", options)
    detector.fit(replace(blobs, shares=shares), tmp_path / "model", context())
    test = blob_split(32, seed=1)
    maps, masks, scores, labels = [], [], [], []
    for pool in (*test.real.values(), *test.normal.values()):
        [said] = detector.predict(tmp_path / "model", [Batch(pool.images)], context())
        maps.append(said.amap)
        masks.append(np.stack([pool.mask(row) for row in range(len(pool))]))
        scores.append(said.score)
        labels.append([defect != "good" for defect in pool.defects])
    assert roc_auc_score(np.concatenate(masks).ravel(), np.concatenate(maps).ravel()) > 0.9
    assert roc_auc_score(np.concatenate(labels), np.concatenate(scores)) > 0.8


def test_maps_are_of_the_size_of_the_images_whatever_size_the_network_sees(
    blobs: DetectorSplit, context, tmp_path: Path
) -> None:
    detector = Draem.configure("tiny", {"size": 32})
    detector.fit(replace(blobs, shares=PSEUDO), tmp_path / "model", context())
    pool = next(iter(blobs.real.values()))
    [said] = detector.predict(tmp_path / "model", [Batch(pool.images)], context())
    assert said.amap.shape == (len(pool), 64, 64)
    assert said.amap.std() > 0


def test_the_harness_may_choose_among_the_epochs(blobs, context, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def validate(model: Path) -> float:
        asked.append((model / "model.safetensors").read_bytes())
        return [0.2, 0.9, 0.4][len(asked) - 1]

    detector = Draem.configure("tiny", {"epochs": 3})
    detector.fit(replace(blobs, shares=PSEUDO), tmp_path / "model", context(validate=validate))
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == asked[1]
    told = json.loads((tmp_path / "model" / "selection.json").read_text())
    assert (told["rule"], told["epoch"]) == ("best score of the harness", 2)


def test_without_any_anomaly_it_says_so(blobs, context, tmp_path: Path) -> None:
    split = replace(blobs, shares={"normal": 1.0})
    with pytest.raises(TrainingFailed, match="add a share of pseudo, real or generated"):
        Draem.configure("tiny").fit(split, tmp_path / "model", context())


def test_the_published_textures_are_asked_for_before_work_starts(tmp_path: Path) -> None:
    [sentence] = Draem.configure().missing(tmp_path)
    assert "5640 images), and 0 are there" in sentence
    assert "textures=procedural needs no download" in sentence
    assert Draem.configure("tiny").missing() == []


def test_an_unknown_texture_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BenchError, match="did you mean 'stripes'"):
        Draem.configure("tiny", {"procedural": ("strypes",)})
