"""Sampling (section 3.5): conditions through the networks, and masks of what the manipulation changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor

from bench.errors import BenchError, did_you_mean
from bench.methods import CategoryTrain, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.anomalyhybrid.conditions import DepthScale, conditions_of, open_scale, open_views
from generators.anomalyhybrid.manipulation import feather
from generators.anomalyhybrid.network import HybridGenerator, fuse
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.recipes import Recipes, SampleRecipe

ATTEMPTS = 6
"""Recipes drawn before the one that changed most is taken."""
BLEED = 0.015
"""How far beyond its region a manipulation may change the image under fusion=region, in image sides."""
SEEN_SHARE = 0.15
"""A manipulation is seen if at least this share of its region changes by `least_change`."""


def sample(
    owner: str,
    params: AnomalyHybridParams,
    model: Path,
    data: TrainSplit,
    request: Request,
    ctx: Context,
    *,
    star: bool,
) -> Iterator[Sample]:
    """One Sample for each index; with `star`, each has the depth that AnomalyHybrid* gives it."""
    if request.category not in data.categories:
        raise BenchError(did_you_mean("category", request.category, data.categories))
    category = data.categories[request.category]
    conditions = conditions_of(category, model)
    recipes = Recipes(owner, params, category, open_views(category, conditions), request)
    painter = Painter(params, model / "rgb", 3, ctx.device)
    deepener = Painter(params, model / "star", 1, ctx.device) if star else None
    scale = open_scale(conditions) if star else None
    for index in request.indices:
        best: tuple[float, SampleRecipe, np.ndarray, np.ndarray | None] | None = None
        for attempt in range(1 if request.defect == "good" else ATTEMPTS):
            rng = ctx.rng(f"sample/{request.defect}/{attempt}", index)
            recipe = recipes.draw(index, rng)
            image, fusion = painter.paint(recipe)
            if request.defect == "good":
                best = (0.0, recipe, image, None)
                break
            plain = painter.paint(unmanipulated(params, recipe))[0] if params.fusion == "free" else None
            mask, changed_share = anomaly_mask(params, recipe, image, fusion, plain)
            if best is None or changed_share > best[0]:
                best = (changed_share, recipe, image, mask)
            if changed_share >= SEEN_SHARE:
                break
        assert best is not None
        _, recipe, image, best_mask = best
        changed = request.defect != "good" and _bases(params)
        base = np.asarray(category.normal[recipe.target.row]) if changed else None
        depth = None
        if deepener is not None:
            depth = deepened(deepener, params, recipe, image, _raw_depth(category, recipe), scale)
        yield Sample(to_bytes(image), best_mask, depth, base)


def unmanipulated(params: AnomalyHybridParams, recipe: SampleRecipe) -> SampleRecipe:
    """The same hybrid without the local anomaly."""
    colour = recipe.colour if params.colour == "reference" else recipe.target_colour
    return replace(recipe, structure=recipe.plain, colour=colour)


def _bases(params: AnomalyHybridParams) -> bool:
    """Whether every sample is a change of a normal image; a set has bases for all of its samples or none."""
    return params.fusion == "region" and params.target == "normal" and params.anomalies == "local"


class Painter:
    """A trained generator: conditions to images."""

    def __init__(self, params: AnomalyHybridParams, folder: Path, channels: int, device: str) -> None:
        self.params, self.device = params, device
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
            self.network = HybridGenerator(params, channels)
        self.network.load_state_dict(load_file(folder / "generator.safetensors"))
        self.network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)

    def run(
        self, decoder: str, conditions: np.ndarray, content: np.ndarray, limit: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """conditions [5, H, W] (colour in -1..1), content [C, H, W] in -1..1, `limit` of the fusion map
        float32 [H, W] in 0..1 or None; the fused image [C, H, W] in -1..1 and the fusion map [H, W]."""
        with torch.inference_mode():
            result = self.network(self._batch(conditions), {decoder: self._batch(content)})[decoder]
            fusion = result.fusion
            if limit is not None:
                fusion = fusion * self._batch(limit[None])
            image = fuse(self._batch(content), result.generated, fusion)
        return image[0].float().cpu().numpy(), fusion[0, 0].float().cpu().numpy()

    def paint(self, recipe: SampleRecipe) -> tuple[np.ndarray, np.ndarray]:
        """The colour image [3, H, W] of a recipe in 0..1, and its fusion map [H, W]."""
        colour = recipe.colour * 2 - 1
        conditions = np.concatenate([colour, recipe.structure])
        image, fusion = self.run(recipe.decoder, conditions, colour, fusion_limit(self.params, recipe))
        return (image + 1) / 2, fusion

    def _batch(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None].to(
            self.device, memory_format=torch.channels_last
        )


def fusion_limit(params: AnomalyHybridParams, recipe: SampleRecipe) -> np.ndarray | None:
    """Under fusion=region, where a local anomaly may change its target: the region and a little beyond."""
    if params.fusion == "free" or recipe.kind in ("normal", "global"):
        return None
    return feather(recipe.region, max(1, round(BLEED * recipe.region.shape[0])))


def anomaly_mask(
    params: AnomalyHybridParams,
    recipe: SampleRecipe,
    image: np.ndarray,
    fusion: np.ndarray,
    plain: np.ndarray | None,
) -> tuple[np.ndarray, float]:
    """The mask bool [H, W] of an anomaly, never empty, and the share of its region that is seen to change.

    Within the manipulated region (and the little beyond that it may reach), a pixel belongs to the mask where
    the image differs by `least_change` grey levels from what it would be without the local anomaly: from the
    target under fusion=region (where C_in is the target, that change is M_gen |A_gen - C_in| by Eq. 1), else
    from `plain`, the image generated from the unchanged structure. The target's own anomaly, and the
    reference's where the fusion map lets its colours through, belong to the mask too. Gaps of a pixel or two
    are closed.
    """
    real_anomalies = recipe.target_region | (recipe.reference_region & (fusion < 0.5))
    if recipe.kind == "global":
        return real_anomalies, 1.0
    before = recipe.target_colour if plain is None else plain
    change = ndimage.uniform_filter(np.abs(image - before).max(axis=0), 3)
    reach = max(1, round(BLEED * len(change)))
    allowed = ndimage.binary_dilation(recipe.region, iterations=reach)
    changed = allowed & (change * 255 >= params.least_change)
    changed_share = float((changed & recipe.region).sum() / max(1, recipe.region.sum()))
    closed = ndimage.binary_closing(np.pad(changed, 2), iterations=2)[2:-2, 2:-2] & allowed
    filled = ndimage.binary_fill_holes(closed) & allowed
    mask = _without_specks(filled) | real_anomalies
    return (mask if mask.any() else recipe.region), changed_share


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """The mask without components below a twentieth of its largest."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= 0.05 * sizes.max())[labels]


def deepened(
    painter: Painter,
    params: AnomalyHybridParams,
    recipe: SampleRecipe,
    image: np.ndarray,
    raw: np.ndarray,
    scale: DepthScale | None,
) -> np.ndarray:
    """Depth float32 [H, W] of a generated image, in the unit of the data set (Fig. 2b).

    AnomalyHybrid* reads the generated colours and refers to the manipulated depth and edges. Where the
    target has no measurement there is none; under fusion=region its depth stays as measured elsewhere.
    """
    conditions = np.concatenate([image * 2 - 1, recipe.structure])
    content = recipe.structure[:1] * 2 - 1
    limit = fusion_limit(params, recipe)
    near = (painter.run("ahd", conditions, content, None)[0][0] + 1) / 2
    depth = near.astype(np.float32) if scale is None else scale.metric(near)
    measured = np.isfinite(raw) & (raw != 0)
    if limit is not None:
        depth = np.where(measured, raw + limit * (depth - raw), 0)
    return np.where(measured, depth, 0).astype(np.float32)


def _raw_depth(category: CategoryTrain, recipe: SampleRecipe) -> np.ndarray:
    pool = category.normal.pool
    if recipe.target.pool == "real":
        pool = next(iter(category.anomalies.values())).pool
    if pool.depth is None:
        raise BenchError(f"{category.name} has no depth; give data in the MVTec 3D layout")
    return np.asarray(pool.depth[recipe.target.row])


def to_bytes(image: np.ndarray) -> np.ndarray:
    """[3, H, W] in 0..1 to uint8 [H, W, 3]."""
    return np.clip(np.rint(np.moveaxis(image, 0, 2) * 255), 0, 255).astype(np.uint8)
