"""The options of SeaS. Defaults are the paper's; where it is silent, those of the released code."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bench.methods import Params

Levels = Annotated[tuple[int, ...], Field(min_length=1, max_length=4)]
Precision = Literal["fp32", "bf16", "fp16"]

STABLE_DIFFUSION = "CompVis/stable-diffusion-v1-4"


class SeaSParams(Params):
    base: str = Field(
        STABLE_DIFFUSION,
        description="the diffusion model to start from: a hub id, found in the folder of --weights or in the "
        "hub's cache, or a folder in diffusers layout",
    )
    side: int = Field(
        512,
        ge=16,
        description="side in pixels at which images are learned, cut from the centre of the files, and made",
    )

    prompt: Literal["unbalanced", "typical"] = Field(
        "unbalanced",
        description="unbalanced: a <ob> with <df1>, ..., learned tokens (3.2); typical: a photo of a bottle "
        "with defect, words as they are",
    )
    normal_tokens: int = Field(1, ge=1, le=16, description="N', learned tokens of the product")
    anomaly_tokens: int = Field(4, ge=1, le=16, description="N, learned tokens of each defect type")
    commas: bool = Field(True, description="commas between the anomaly tokens, as printed in 3.2")

    attention_norm: Literal["minmax", "none"] = Field(
        "minmax",
        description="minmax: attention maps are scaled to [0, 1] over the batch before they meet the mask, "
        "as the released code does; none: Eq. 3 to the letter, which cannot reach zero",
    )
    squared_norm: Literal["mean", "sum"] = Field(
        "mean",
        description="mean: squared errors are averaged, and the second term of Eq. 3 over the mask alone, as "
        "the released code does; sum: the squared norms as printed, averaged over the images of a batch",
    )
    mask_pooling: Literal["any", "bilinear"] = Field(
        "any",
        description="masks at the size of a map: any: a cell is 1 where any pixel in it is; bilinear: to the "
        "size of the latents by bilinear interpolation, then max-pooled, as the released code does",
    )
    attention_layers: Levels = Field((2, 3), description="down layers whose maps are aligned (Table 13)")
    suppressed_cells: Literal["whole", "part"] = Field(
        "whole",
        description="cells over which the second term of Eq. 3 is averaged: wholly in the mask; part: in it "
        "at all, as the released code does for VisA and MVTec 3D; the same where mask_pooling is any",
    )
    normal_token_term: Literal["suppress", "none", "align"] = Field(
        "suppress",
        description="suppress: the second term of Eq. 3; none: without it; align: Eq. 9 in its place",
    )
    normal_alignment: bool = Field(True, description="learn from normal images too (Eq. 5)")
    mixing: Literal["mixed", "abnormal-then-normal", "normal-then-abnormal"] = Field(
        "mixed",
        description="whether a batch holds both kinds of images, or which kind comes first (Table 12)",
    )
    one_model_per: Literal["product", "type"] = Field(
        "product", description="type: a model of its own for each defect type (Table 5, without mixing types)"
    )

    unet: Literal["learned", "frozen"] = Field(
        "learned", description="frozen: only tokens are learned (Textual Inversion, Fig. 28)"
    )
    learned_tokens: Literal["new", "all"] = Field(
        "new",
        description="rows of the token table that are learned: the new ones (A.3); all: the whole table, as "
        "the released code does, and so the empty prompt of guidance too",
    )
    steps_per_type: int = Field(800, ge=1, description="steps of the U-Net for each defect type")
    mask_steps_per_type: int = Field(800, ge=1, description="steps of the mask branch for each defect type")
    abnormal_batch: int = Field(2, ge=1, description="abnormal images per step")
    normal_batch: int = Field(2, ge=1, description="normal images per step")
    accumulation: int = Field(1, ge=1, description="batches whose gradients make one step of the U-Net")
    mask_accumulation: int = Field(1, ge=1, description="the same, of the mask branch")
    learning_rate: float = Field(4e-6, gt=0, description="of the U-Net")
    token_learning_rate: float = Field(4e-5, gt=0, description="of the new token embeddings")
    mask_learning_rate: float = Field(5e-4, gt=0, description="of the mask branch")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    optimizer: Literal["fused", "adamw", "8bit"] = Field(
        "fused", description="AdamW: in one kernel, plain, or with 8-bit states (needs bitsandbytes)"
    )
    augmentation: Literal["turns", "none"] = Field(
        "turns",
        description="turns: quarter turns and mirrorings of the training images, as the released code does",
    )
    normals: int = Field(60, ge=1, description="normal images learned from, at most")
    normal_order: Literal["drawn", "listing"] = Field(
        "drawn",
        description="which normal images: drawn with the seed; listing: the first of an order that no seed "
        "changes, as of a folder listed unsorted",
    )
    normal_pairing: Literal["drawn", "paired"] = Field(
        "drawn",
        description="drawn: the normal images of a batch are any; paired: each anomaly has its own, in the "
        "same turn and flip, so that there are no more normal images than anomalies, as released",
    )
    anomalies: int | None = Field(
        None, ge=1, description="H, abnormal images of a type learned from, at most; none: all (Table 11)"
    )
    precision: Precision = Field("bf16", description="of training; below fp32 by automatic mixed precision")

    mask_network: Literal["paper", "released"] = Field(
        "paper",
        description="the mask branch: built from the text of 3.3; released: the network of the released "
        "checkpoints, 6,448,258 parameters, with batch statistics at inference",
    )
    mask_features: Levels = Field((2, 3), description="up layers of the U-Net that give the mask (Table 14)")
    fine_features: Literal["vae-decoder", "vae-encoder"] = Field(
        "vae-decoder", description="where features of high resolution come from (Table 15)"
    )
    refinement: Literal["none", "single", "progressive"] = Field(
        "progressive", description="mask refinement modules: none, one, or three in a row (Table 6)"
    )
    refinement_module: Literal["a", "b", "c"] = Field(
        "c", description="a: no convolution block; b: one; c: two in a chain (Table 17)"
    )
    coarse_supervision: bool = Field(True, description="supervise the coarse mask too (Table 6, CMS)")
    normal_supervision: bool = Field(True, description="supervise masks of normal images too (Table 16)")
    focal_gamma: float = Field(2.0, ge=0, description="focusing exponent of the focal loss")
    coarse_widths: tuple[int, int] = Field(
        (128, 64), description="channels that features of up-1 and up-2, and of up-3 and up-4, become"
    )
    refined_widths: tuple[int, int, int] = Field(
        (128, 64, 32),
        description="channels that the three mask refinement modules give; in the released network they give "
        "as many as the coarse feature has",
    )
    mask_time: int = Field(
        120,
        ge=0,
        description="the mask branch learns at times drawn up to this: 120 of 1,000 is where the last three "
        "of 25 sampling steps are; the released code draws from all, up to 999",
    )
    mask_latents: Literal["clean", "noisy"] = Field(
        "clean",
        description="latents whose VAE features the mask is refined by: the predicted clean ones; noisy: "
        "those of the step itself, one step on in training, as the released code does",
    )
    coarse_target: Literal["any", "truncated", "scaled-truncated"] = Field(
        "any",
        description="the coarse mask to learn: 1 where any pixel is; truncated: bilinear, and 1 where that "
        "is exactly 1, as the released code does; scaled-truncated: divided by its maximum before, and a "
        "batch with a mask of zeros is skipped, as the released code does for VisA and MVTec 3D",
    )
    mask_loss: Literal["sum", "mean"] = Field(
        "sum",
        description="sum: the four terms of Eq. 7; mean: at each size the mean over all images of a batch, "
        "as the released code does",
    )
    focal_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="label smoothing of the focal loss; released: 1e-5"
    )

    threshold: float = Field(0.2, gt=0, lt=1, description="tau, above which a pixel is anomalous (Table 18)")
    start_step: int = Field(1500, ge=1, description="t of the noise that the start image gets (A.3)")
    sampling_steps: int = Field(25, ge=3, description="DPM-Solver steps")
    mask_steps: int = Field(3, ge=1, description="last sampling steps that the mask is averaged over")
    guidance: float = Field(
        8.0, ge=1, description="scale of classifier-free guidance; released: 8 MVTec AD, 2 VisA, 5 MVTec 3D"
    )
    solver_end: Literal["zero", "sigma_min"] = Field(
        "zero",
        description="noise level at which DPM-Solver ends: none, by a first-order step, as diffusers does "
        "today; sigma_min: that of time 0, by a second-order step, as its version in the released code does",
    )
    empty_masks: Literal["keep", "redraw"] = Field(
        "keep",
        description="an image without a pixel above tau: keep: it stays, with its empty mask; redraw: it is "
        "made again up to twice, and then its most probable 0.1 % of the pixels are the mask, which selects "
        "images",
    )
    start_images: Literal["drawn", "first-batch"] = Field(
        "drawn",
        description="normal images that samples start from: drawn for each; first-batch: the first "
        "sampling_batch of them in turn, as the released code does",
    )
    scale_start: bool = Field(
        True, description="scale start latents as Stable Diffusion does; the released code does not"
    )
    sampling_batch: int = Field(10, ge=1, description="images made at once; images depend on it by rounding")
    sampling_precision: Precision = Field("bf16", description="of the U-Net and the VAE at sampling")
    compiled: bool = Field(False, description="compile the U-Net for sampling: minutes once, then faster")

    @model_validator(mode="after")
    def _together(self) -> "SeaSParams":
        for name in ("attention_layers", "mask_features"):
            levels = getattr(self, name)
            if list(levels) != sorted(set(levels)) or not set(levels) <= {1, 2, 3, 4}:
                raise ValueError(f"{name} must be rising numbers from 1 to 4")
        if self.unet == "frozen" and self.prompt == "typical" and self.learned_tokens == "new":
            raise ValueError("with unet=frozen and prompt=typical nothing is learned")
        if self.mask_network == "released":
            if (self.refinement, self.refinement_module) != ("progressive", "c"):
                raise ValueError("mask_network=released has one refinement, progressive with module c")
            if len(self.mask_features) != 2 or sum(self.coarse_widths) % 32:
                raise ValueError(
                    "mask_network=released takes two mask_features, and coarse_widths whose sum is a "
                    "multiple of 32"
                )
        if self.mask_steps > self.sampling_steps:
            raise ValueError("mask_steps cannot be more than sampling_steps")
        return self


SAMPLING = frozenset(
    {
        "threshold",
        "start_step",
        "sampling_steps",
        "mask_steps",
        "guidance",
        "solver_end",
        "empty_masks",
        "start_images",
        "scale_start",
        "sampling_batch",
        "compiled",
    }
)
"""What a fit does not look at: the rows of Table 18 have one model."""

TINY: dict[str, Any] = {
    "side": 64,
    "steps_per_type": 2,
    "mask_steps_per_type": 3,
    "learning_rate": 1e-3,
    "token_learning_rate": 1e-2,
    "mask_learning_rate": 3e-3,
    "precision": "fp32",
    "sampling_precision": "fp32",
    "coarse_widths": (16, 16),
    "refined_widths": (16, 16, 8),
    "sampling_steps": 4,
    "sampling_batch": 2,
    "guidance": 2.0,
}
"""Seconds on a CPU, with a base model as small."""

RELEASED: dict[str, Any] = {
    "commas": False,
    "mask_pooling": "bilinear",
    "accumulation": 2,
    "mask_accumulation": 2,
    "learned_tokens": "all",
    "precision": "fp32",
    "optimizer": "8bit",
    "normal_order": "listing",
    "normal_pairing": "paired",
    "mask_network": "released",
    "mask_time": 999,
    "mask_latents": "noisy",
    "coarse_target": "truncated",
    "mask_loss": "mean",
    "focal_smoothing": 1e-5,
    "solver_end": "sigma_min",
    "start_images": "first-batch",
    "scale_start": False,
    "sampling_precision": "fp16",
}

VISA: dict[str, Any] = {
    "guidance": 2.0,
    "augmentation": "none",
    "coarse_target": "scaled-truncated",
    "suppressed_cells": "part",
}
MVTEC_3D: dict[str, Any] = {
    "guidance": 5.0,
    "coarse_target": "scaled-truncated",
    "suppressed_cells": "part",
}
"""What the released code does otherwise where a path holds "visa" or "3d"."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "full": {},
    # Table 5
    "typical-prompt": {"prompt": "typical"},
    "no-mixed": {"one_model_per": "type"},
    "no-na": {"normal_alignment": False},
    "no-da-second-term": {"normal_token_term": "none"},
    # Table 6
    "cms-only": {"refinement": "none"},
    "mrm": {"refinement": "single", "coarse_supervision": False},
    "mrm+pm": {"coarse_supervision": False},
    # Table 9
    "N'=1,N=1": {"anomaly_tokens": 1},
    "N'=1,N=4": {},
    "N'=4,N=4": {"normal_tokens": 4},
    # Table 10
    "no-second-term": {"normal_token_term": "none"},
    "with-at": {"normal_token_term": "align"},
    # Table 11
    "H=1": {"anomalies": 1},
    "H=2": {"anomalies": 2},
    "H=1/3": {},
    # Table 12
    "abnormal-then-normal": {"mixing": "abnormal-then-normal"},
    "normal-then-abnormal": {"mixing": "normal-then-abnormal"},
    "mixed": {},
    # Table 13
    "A:1,2,3": {"attention_layers": (1, 2, 3)},
    "A:2,3,4": {"attention_layers": (2, 3, 4)},
    "A:2,3": {},
    # Table 14
    "F:1,2,3": {"mask_features": (1, 2, 3)},
    "F:2,3,4": {"mask_features": (2, 3, 4)},
    "F:2,3": {},
    # Table 15
    "vae-encoder": {"fine_features": "vae-encoder"},
    "vae-decoder": {},
    # Table 16
    "no-nia": {"normal_supervision": False},
    "nia": {},
    # Table 17
    "mrm-a": {"refinement_module": "a"},
    "mrm-b": {"refinement_module": "b"},
    "mrm-c": {},
    # Table 18
    "tau=0.1": {"threshold": 0.1},
    "tau=0.2": {},
    "tau=0.3": {"threshold": 0.3},
    "tau=0.4": {"threshold": 0.4},
    "tau=0.5": {"threshold": 0.5},
}
"""The rows of Tables 5, 6 and 9 to 18, by the names that the published numbers have here."""

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": TINY,
    "released": RELEASED,
    "visa": VISA,
    "3d": MVTEC_3D,
    "released-visa": {**RELEASED, **VISA},
    "released-3d": {**RELEASED, **MVTEC_3D},
    "textual-inversion": {"unet": "frozen"},
    **ABLATIONS,
}
