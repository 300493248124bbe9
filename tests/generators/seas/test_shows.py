"""What learning must show at tiny size on the sample data set: losses, attention, masks of unseen defects."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.adapters import Anomalies, CategoryTrain, Images
from bench.context import Context
from bench.data.pool import Pool
from bench.sample import SampleSpec, render

torch = pytest.importorskip("torch")

CATEGORY, DEFECT, SIDE = "leather", "stain", 64
TRAIN, HELD_OUT = range(6), range(6, 12)
STEPS, MASK_STEPS = 200, 400
LEARNING = {"learning_rate": 2e-3, "token_learning_rate": 2e-2, "mask_learning_rate": 6e-3}


def pool(rendered: Sequence[Any], defect: str) -> Pool:
    return Pool(
        np.stack([each.image for each in rendered]),
        np.stack([each.mask for each in rendered]),
        *(None, None),
        tuple({"defect": defect, "stem": f"{number:03d}"} for number in range(len(rendered))),
    )


def product(rows: range) -> CategoryTrain:
    """Leather of the sample data set, with these of its stains."""
    spec = SampleSpec(size=SIDE)
    normal = pool([render(spec, CATEGORY, "train", "good", row) for row in range(10)], "good")
    real = pool([render(spec, CATEGORY, "test", DEFECT, row) for row in rows], DEFECT)
    return CategoryTrain(CATEGORY, Images(normal), {DEFECT: Anomalies(real, real.rows(DEFECT))})


@pytest.fixture(scope="module")
def learned(tmp_path_factory, base_folder) -> SimpleNamespace:
    """What was measured before and after learning from six stains."""
    from generators.seas.base import TextSide, load_base
    from generators.seas.fine_tuning import FineTuning, fine_tuning_stage
    from generators.seas.fitting import prompts_for
    from generators.seas.loop import train
    from generators.seas.material import Latents, choose_normals, gather
    from generators.seas.params import TINY, SeaSParams

    torch.set_num_threads(1)
    params = SeaSParams(**{**TINY, **LEARNING})
    place = torch.device("cpu")
    ctx = Context(0, "generator.fit", "seas", CATEGORY, "cpu", tmp_path_factory.mktemp("scratch"))
    seen, unseen = product(TRAIN), product(HELD_OUT)
    base = load_base(base_folder)
    base.vae.requires_grad_(False)
    prompts = prompts_for(params, CATEGORY, 1)
    text = TextSide(base, prompts)
    normal = choose_normals(seen, params, ctx, "seas")
    material, other = (gather(each, [DEFECT], normal, params, "seas") for each in (seen, unseen))
    latents, others = (Latents(base.vae, each, place) for each in (material, other))
    tuning = FineTuning(base, text, prompts, material, latents, params, place)
    probe = Context(1, "generator.fit", "seas", CATEGORY, "cpu", ctx.scratch)

    @torch.no_grad()
    def attention() -> dict[str, float]:
        found = [tuning.loss(*tuning.batch(probe, index, 4, 2)) for index in range(4)]
        return {name: float(np.mean([float(values[name]) for values in found])) for name in found[0]}

    before = attention()
    trace = train(fine_tuning_stage(tuning, ctx, "unet", STEPS), ctx, "seas", 0, STEPS)
    after = attention()
    return SimpleNamespace(
        base=base,
        text=text,
        params=params,
        tuning=tuning,
        material=material,
        latents=latents,
        unseen=unseen,
        other=other,
        others=others,
        ctx=ctx,
        probe=probe,
        before=before,
        after=after,
        trace=trace,
    )


@pytest.fixture(scope="module")
def masked(learned) -> SimpleNamespace:
    """What the mask branch finds on unseen stains, before and after its training."""
    from generators.seas.loop import train
    from generators.seas.mask_training import MaskTraining, build_branch, mask_stage

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branch = build_branch(learned.base, learned.params)
    with torch.no_grad():
        embedded = learned.text(learned.tuning.ids)

    def of(material: Any, latents: Any) -> MaskTraining:
        return MaskTraining(
            learned.base, branch, embedded, material, latents, learned.params, torch.device("cpu")
        )

    unknown = of(learned.other, learned.others)

    @torch.no_grad()
    def overlap() -> float:
        """IoU of the predicted masks with the real ones, over all pixels of unseen stains."""
        shared = united = 0
        for index in range(6):
            batch = unknown.batch(learned.probe, index)
            views = batch[0][: learned.params.abnormal_batch]
            rest = [part[: len(views)] for part in batch[1:]]
            coarse, fine = unknown.features(views, *rest, len(views))
            found = branch(coarse, fine, SIDE)[1].softmax(1)[:, 1] > learned.params.threshold
            real = learned.others.masks(views) > 0
            shared += int((found & real).sum())
            united += int((found | real).sum())
        return shared / max(united, 1)

    untrained = overlap()
    stage = mask_stage(of(learned.material, learned.latents), learned.ctx, "mask", MASK_STEPS)
    trace = train(stage, learned.ctx, "seas", 0, MASK_STEPS)
    share = float(np.mean([real.mask.mean() for real in learned.unseen.anomalies[DEFECT]]))
    return SimpleNamespace(trace=trace, untrained=untrained, trained=overlap(), share=share)


def lift(measured: dict[str, float], token: str) -> float:
    """How many times the attention of a token inside the mask is that outside it."""
    return measured[f"{token}_inside"] / measured[f"{token}_outside"]


@pytest.mark.parametrize("name", ["loss", "alignment", "suppression", "noise_abnormal", "noise_normal"])
def test_each_loss_falls(learned, name: str, record_property) -> None:
    first = float(np.mean([values[name] for values in learned.trace[:10]]))
    last = float(np.mean([values[name] for values in learned.trace[-10:]]))
    record_property(name, f"{first:.3f} to {last:.3f}")
    assert last < 0.8 * first


@pytest.mark.full
def test_the_loss_of_the_mask_branch_falls(masked) -> None:
    losses = [values["loss"] for values in masked.trace]
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:5])


def test_the_anomaly_tokens_attention_moves_onto_the_mask(learned, record_property) -> None:
    before, after = lift(learned.before, "anomaly"), lift(learned.after, "anomaly")
    record_property("anomaly tokens, inside over outside", f"{before:.2f} before, {after:.2f} after")
    assert before == pytest.approx(1, abs=0.2)
    assert after > 1.2


def test_the_normal_tokens_attention_leaves_the_mask(learned, record_property) -> None:
    before, after = lift(learned.before, "normal"), lift(learned.after, "normal")
    record_property("normal token, inside over outside", f"{before:.2f} before, {after:.2f} after")
    assert before == pytest.approx(1, abs=0.2)
    assert after < 0.9


@pytest.mark.full
def test_masks_of_unseen_defects_are_found_clearly_above_chance(masked, record_property) -> None:
    record_property("IoU", f"{masked.untrained:.3f} before, {masked.trained:.3f} after")
    # A mask of everything has the share of the defect as its IoU; a random one has less.
    assert masked.trained > 2 * max(masked.share, masked.untrained)
