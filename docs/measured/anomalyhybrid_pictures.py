"""The picture sheets of docs/measured/anomalyhybrid.md: what a trained AnomalyHybrid makes of chosen images.

    python docs/measured/anomalyhybrid_pictures.py STORE OUT.png category/defect:index ...

STORE holds a fit of anomalyhybrid (or anomalyhybrid_star, with --depth) over these categories; a row of the
sheet is one sample of one type. `index` chooses which, as in `bench samples`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from bench.data.pool import open_pool
from bench.methods import Anomalies, CategoryTrain, Images, Request
from bench.methods.context import Context
from bench.store import Store, open_store
from generators.anomalyhybrid import AnomalyHybrid, AnomalyHybridStar
from generators.anomalyhybrid.conditions import Views, conditions_of, open_scale, open_views
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.recipes import Recipes, SampleRecipe
from generators.anomalyhybrid.sampling import Painter, anomaly_mask, deepened, to_bytes, unmanipulated

TILE = 88
MANIPULATIONS = ("mask", "merge", "remove", "replace", "tps")
Tile = np.ndarray | None


@dataclass(frozen=True)
class Fit:
    """A fit in a store: its parameters, its model, its categories."""

    adapter: str
    params: dict[str, Any]
    model: Path
    categories: dict[str, CategoryTrain]


def find_fit(store: Store, name: str) -> Fit:
    """The fit of this generator; of several the one with the most steps, then seed 0."""
    fits = []
    for key in sorted(store.keys()):
        definition = store.definition(key)
        if definition["stage"] == "generator.fit" and definition["adapter"].partition("@")[0] == name:
            fits.append((-definition["params"]["params"]["steps"], definition["seed"], key))
    if not fits:
        raise SystemExit(f"{store.root} holds no fit of {name}; run bench with --generators {name} first")
    definition = store.definition(min(fits)[-1])
    inputs = dict(definition["inputs"])
    categories = {}
    for role, key in inputs.items():
        kind, _, category = role.partition("/")
        if kind == "normal":
            real = open_pool(store.out(inputs[f"base/{category}"]))
            types = {defect: Anomalies(real, real.rows(defect)) for defect in dict.fromkeys(real.defects)}
            derived = inputs.get(f"derived/{category}")
            categories[category] = CategoryTrain(
                category, Images(open_pool(store.out(key))), types, store.out(derived) if derived else None
            )
    return Fit(name, definition["params"]["params"], store.out(min(fits)[-1]), categories)


class Studio:
    """Paints recipes of one fit with parameters of sampling changed at will."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.painter = Painter(self.params(), fit.model / "rgb", 3, "cpu")

    def params(self, **changes: Any) -> AnomalyHybridParams:
        adapter = AnomalyHybridStar if self.fit.adapter.endswith("_star") else AnomalyHybrid
        return adapter.configure(None, {**self.fit.params, **changes}).params

    def views(self, category: str) -> dict[str, Views]:
        train = self.fit.categories[category]
        return open_views(train, conditions_of(train, self.fit.model))

    def recipe(self, category: str, defect: str, index: int, **changes: Any) -> SampleRecipe:
        """The same reference, target and place whatever the manipulation: one stream draws them all."""
        request = Request(category, defect, range(1))
        params = self.params(**{"decoders": "ahd", **changes})
        recipes = Recipes("pictures", params, self.fit.categories[category], self.views(category), request)
        context = Context(0, "generator.sample", self.fit.adapter, "", "cpu", Path())
        return recipes.draw(index, context.rng(f"sample/{defect}/0", index))

    def made(self, recipe: SampleRecipe, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
        """The image uint8 [H, W, 3] and its mask bool [H, W]."""
        self.painter.params = params = self.params(**changes)
        image, fusion = self.painter.paint(recipe)
        plain = self.painter.paint(unmanipulated(params, recipe))[0] if params.fusion == "free" else None
        return to_bytes(image), anomaly_mask(params, recipe, image, fusion, plain)[0]

    def identity(self, stack: np.ndarray, decoder: str) -> np.ndarray:
        signed = stack[:3] * 2 - 1
        image, _ = self.painter.run(decoder, np.concatenate([signed, stack[3:]]), signed, None)
        return to_bytes((image + 1) / 2)


def colour_row(studio: Studio, category: str, defect: str, index: int) -> dict[str, Tile]:
    views = studio.views(category)
    first = studio.recipe(category, defect, index, manipulations="replace")
    reference = views["real"].stack(first.reference.row)
    row: dict[str, Tile] = {
        "reference": outlined(to_bytes(reference[:3]), views["real"].mask(first.reference.row)),
        "identity": studio.identity(reference, "ahd"),
        "target": to_bytes(first.target_colour),
    }
    for kind in MANIPULATIONS:
        recipe = studio.recipe(category, defect, index, manipulations=kind)
        row[kind] = outlined(*studio.made(recipe))
    other = studio.recipe(category, defect, index, manipulations="replace", decoders="ahe")
    row["replace, AHE"] = outlined(*studio.made(other))
    whole = {"anomalies": "global", "fusion": "free", "colour": "reference"}
    row["hybrid"] = outlined(*studio.made(studio.recipe(category, defect, index, **whole), **whole))
    row["normal"] = to_bytes(studio.painter.paint(studio.recipe(category, "good", index))[0])
    return row


def depth_row(studio: Studio, category: str, defect: str, index: int) -> dict[str, Tile]:
    """Colour and depth of a reference, of a target and of the pair that is made of them."""
    train, views = studio.fit.categories[category], studio.views(category)
    recipe = studio.recipe(category, defect, index)
    image, mask = studio.made(recipe)
    raw = train.normal.pool.depth
    real = next(iter(train.anomalies.values())).pool
    assert raw is not None and real.depth is not None
    scale = open_scale(conditions_of(train, studio.fit.model))
    deepener = Painter(studio.params(), studio.fit.model / "star", 1, "cpu")
    target = np.asarray(raw[recipe.target.row])
    depth = deepened(deepener, studio.params(), recipe, np.moveaxis(image, 2, 0) / 255, target, scale)
    measured = target[target != 0]
    near, far = np.percentile(measured, (0.5, 99.5))
    room = 0.3 * (far - near)

    def grey(values: np.ndarray) -> np.ndarray:
        height = np.where(values == 0, 0, np.clip((far + room - values) / (far - near + 2 * room), 0, 1))
        return np.repeat(np.rint(height * 255).astype(np.uint8)[..., None], 3, axis=2)

    where = views["real"].mask(recipe.reference.row)
    return {
        "reference": outlined(to_bytes(views["real"].stack(recipe.reference.row)[:3]), where),
        "its depth": outlined(grey(np.asarray(real.depth[recipe.reference.row])), where),
        "target": to_bytes(recipe.target_colour),
        "its depth ": grey(target),
        "made": outlined(image, mask),
        "AnomalyHybrid*": outlined(grey(depth), mask),
        "its depth, bare": grey(depth),
    }


def decoder_row(studio: Studio, category: str, defect: str, index: int) -> dict[str, Tile]:
    """What each decoder makes of one normal image, a, with the edges, or the depth, of the next one, b."""
    views = studio.views(category)["normal"]
    a, b = views.stack(index), views.stack(index + 1)
    edges, depth = a.copy(), a.copy()
    edges[4], depth[3] = b[4], b[3]
    grey = np.repeat(b[3:, :, :, None], 3, axis=3)
    tiles: dict[str, Tile] = {"a": to_bytes(a[:3]), "b": to_bytes(b[:3])}
    for name, stack, picture in (("edges", edges, grey[1]), ("depth", depth, grey[0])):
        tiles[f"{name} of b"] = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        for decoder in ("ahd", "ahe"):
            tiles[f"{decoder.upper()}, b's {name}"] = studio.identity(stack, decoder)
    return tiles


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image at `TILE` pixels with the rim of the mask in red."""
    small = np.asarray(Image.fromarray(image).resize((TILE, TILE), Image.Resampling.LANCZOS)).copy()
    grown = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((TILE, TILE))) > 127
    small[ndimage.binary_dilation(grown, iterations=2) & ~ndimage.binary_dilation(grown)] = (235, 30, 30)
    return small


def sheet(rows: list[dict[str, Tile]]) -> Image.Image:
    """Rows of tiles under their names, in 128 colours."""
    names = list(rows[0])
    gap, head = 3, 13
    size = (len(names) * (TILE + gap) - gap, head + len(rows) * (TILE + gap) - gap)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(names):
        x = column * (TILE + gap)
        draw.text((x + 2, 0), name.strip(), fill="black")
        for line, row in enumerate(rows):
            tile = row[name]
            if tile is not None:
                picture = Image.fromarray(tile).resize((TILE, TILE), Image.Resampling.LANCZOS)
                page.paste(picture, (x, head + line * (TILE + gap)))
    return page.quantize(128, dither=Image.Dither.NONE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("rows", nargs="+", help="category/defect:index")
    parser.add_argument("--depth", action="store_true", help="pairs of anomalyhybrid_star")
    parser.add_argument(
        "--decoders", action="store_true", help="normal images by each decoder: category/good:n"
    )
    options = parser.parse_args()
    name = "anomalyhybrid_star" if options.depth else "anomalyhybrid"
    studio = Studio(find_fit(open_store(options.store), name))
    rows = []
    for row in options.rows:
        pair, _, index = row.partition(":")
        category, _, defect = pair.partition("/")
        make = depth_row if options.depth else decoder_row if options.decoders else colour_row
        rows.append(make(studio, category, defect, int(index or 0)))
    sheet(rows).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
