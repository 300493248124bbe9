"""The adapters `anomalyhybrid` and `anomalyhybrid_star`. Loads no torch: the planner reads it.

Zhao: AnomalyHybrid: a domain-agnostic generative framework for general anomaly detection (arXiv 2504.04340).
No code of it is public. A generator renders a target's depth and edge maps in the appearance of a reference;
two groups of decoders, AHD and AHE, follow depth and edges, and Eq. 1 fuses what each makes with the colour
condition. It is trained without annotations, on images, depth and edges in different augmentations.

Where the paper is silent, the value is that of the work it names as its ancestor ("hd": pix2pixHD [24], the
released options; "ds": DeepSIM [23], which keeps hd's options and adds the splines) or ours, and why:

| what | value | from |
|---|---|---|
| optimiser | Adam, betas (0.5, 0.999) | hd, ds |
| learning rate | 2e-4, constant for half of the epochs, then linearly to 0 | hd, ds |
| epochs, batch | 200 passes over all images, 1 image per step | hd, ds |
| first width | 64 channels, generator and discriminator | hd, ds |
| scales, blocks | four below the first, 9 ResNet blocks at the coarsest; the paper says "four | hd, ds |
| | scales" | |
| layers | 7x7, stride 2, transposed convolutions, instance norm, N(0, 0.02) to begin with | hd, ds |
| skips | decoders add the encoder's features of each scale: the paper's encoder "extracts multi- | ours |
| | scale features", hd's decoder reads the coarsest alone (`skips=false`) | |
| branches | texture and mask decoders share the encoder and no layer; tanh and sigmoid at the | ours, hd |
| | end | |
| GAN objective | least squares (`gan=lsgan`); Eq. 3 prints logarithms (`gan=log`) | hd, ds |
| discriminator | one for both decoders, of two scales, 3 layers, patches; no feature matching: Eq. | hd, ds |
| | 4 has none | |
| Eq. 3 | printed as D(G(C), A) and as D(C, G(C)); the second, conditional form is taken | the paper |
| weights of Eq. 4 | 1 and 1, as printed; hd and ds weigh the perceptual loss by 10 | the paper |
| | (`perceptual_weight=10`) | |
| L_vgg | VGG-19, relu1_1 to relu5_1, L1, weights 1/32, 1/16, 1/8, 1/4, 1 | hd, ds |
| splines | every condition is bent, 3x3 points in a square of 0.2 to 0.45 of the | ds' 3x3, ranges ours |
| | image, shifts to 0.35 of their spacing, faded out beyond it | |
| resize, flip | half of the conditions 0.7 to 1.4 in size and moved by up to 0.15 of the side, | ours |
| | reflected beyond; each axis mirrored in half of them | |
| images | train/good and the real third, each as often as the other | ours |
| where a region lies | where the surroundings in colour and depth fit (`manipulation`); at the | ours |
| | border if it was there | |
| merge | edges: the maximum; depth: the mean | ours |
| remove | no edges; the second percentile of the target's depth map, its background | ours |
| depth in a region | lifted or lowered to meet the target's surroundings | ours |
| reference, target | reference: a real defect of the type; target: a normal image or a real | ours; Fig. 5 |
| | defect of the type, half each | |
| mixing | one of merge, remove, replace an image, bent by TPS in half of them | Table 7, ours |
| fusion at sampling | free, by Eq. 1 | the paper |
| depth of a pair | `anomalyhybrid_star` conditions both generators on measured depth, so that one | ours |
| | manipulated map makes both images; the paper takes estimated depth for the colour image | |
| masks | what the manipulation changed within its region, and anomalies that target and reference | ours |
| | bring along (`sampling.anomaly_mask`) | |

`quick` departs from the paper to learn in minutes on a CPU: a narrow network, an L1 loss, batch norm, a part
of the colour condition swapped with another image in training, and local edits of a normal image whose
colour condition has the reference's colours in the region, with the fusion map limited to it. Its 300 steps
teach both decoders depth, which `shading` makes nearly all of an image, and not yet edges;
docs/measured/anomalyhybrid.md measures that, and a training in which each decoder follows its own condition.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from bench.methods import CategoryTrain, Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.anomalyhybrid.params import SAMPLING, AnomalyHybridParams, StarParams
from generators.anomalyhybrid.sources import digest_of_sources, missing_sources

NO_DOWNLOAD: dict[str, Any] = {"edges": "canny", "depth": "shading", "perceptual": "embedded"}
"""What takes no weights but those that a package ships."""
TINY: dict[str, Any] = {
    **NO_DOWNLOAD,
    "width": 8,
    "downsamplings": 2,
    "blocks": 1,
    "discriminator_width": 8,
    "discriminator_layers": 2,
    "discriminator_scales": 1,
    "steps": 6,
    "batch_size": 2,
    "colour": "region",
    "least_change": 1.0,
}
QUICK: dict[str, Any] = {
    **NO_DOWNLOAD,
    "width": 16,
    "downsamplings": 3,
    "blocks": 2,
    "norm": "batch",
    "discriminator_width": 16,
    "discriminator_scales": 1,
    "perceptual_weight": 2.0,
    "adversarial_weight": 0.1,
    "pixel_weight": 10.0,
    "steps": 300,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "defect_share": 0.5,
    "together": 0.5,
    "paired": 0.5,
    "resize": 0.3,
    "swap": 0.7,
    "colour": "region",
    "normals": "warped",
    "target": "normal",
    "fusion": "region",
    "manipulations": ("merge", "replace", "tps"),
}


class AnomalyHybrid(Generator):
    """Renders manipulated depth and edge maps in the appearance of a reference image."""

    name = "anomalyhybrid"
    version = 2
    scope = "dataset"
    frugal = frozenset({"fit"})
    needs = frozenset({"normal", "anomalies", "masks", "types"})
    yields = frozenset({"anomaly", "mask", "type", "normal"})
    Params: ClassVar[type[Params]] = AnomalyHybridParams
    presets = {"tiny": TINY, "quick": QUICK}
    imports = ("torch", "scipy.ndimage")
    derives = ("edges", "depth")
    sampling_params = SAMPLING
    params: AnomalyHybridParams
    makes_depth: ClassVar[bool] = False

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_sources(self.name, self.params, weights)

    def weights_digest(self, weights: Path | None = None) -> str:
        return digest_of_sources(self.params, weights)

    def derive(self, category: CategoryTrain, out: Path, ctx: Context) -> None:
        from generators.anomalyhybrid.conditions import write_conditions

        write_conditions(self.name, self.params, category, out, ctx)

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        from generators.anomalyhybrid.fit import fit

        fit(self.name, self.params, data, out, ctx, star=self.makes_depth)

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        from generators.anomalyhybrid.sampling import sample

        yield from sample(self.name, self.params, model, data, request, ctx, star=self.makes_depth)


class AnomalyHybridStar(AnomalyHybrid):
    """The pair of AnomalyHybrid and AnomalyHybrid*: colour images with the depth that belongs to them."""

    name = "anomalyhybrid_star"
    needs = AnomalyHybrid.needs | {"depth"}
    yields = AnomalyHybrid.yields | {"depth"}
    Params: ClassVar[type[Params]] = StarParams
    presets = {
        "tiny": {**TINY, "depth": "dataset"},
        "quick": {**QUICK, "depth": "dataset", "steps": 150},
    }
    makes_depth = True
