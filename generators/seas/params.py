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

    steps_per_type: int = Field(800, ge=1, description="steps of the U-Net for each defect type")
    mask_steps_per_type: int = Field(800, ge=1, description="steps of the mask branch for each defect type")
    abnormal_batch: int = Field(2, ge=1, description="abnormal images per step")
    normal_batch: int = Field(2, ge=1, description="normal images per step")
    accumulation: int = Field(1, ge=1, description="batches whose gradients make one step of the U-Net")
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
    anomalies: int | None = Field(
        None, ge=1, description="H, abnormal images of a type learned from, at most; none: all (Table 11)"
    )
    precision: Precision = Field("bf16", description="of training; below fp32 by automatic mixed precision")

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
        (128, 64, 32), description="channels that the three mask refinement modules give"
    )
    mask_time: int = Field(
        120,
        ge=0,
        description="the mask branch learns at times drawn up to this: 120 of 1,000 is where the last three "
        "of 25 sampling steps are",
    )

    threshold: float = Field(0.2, gt=0, lt=1, description="tau, above which a pixel is anomalous (Table 18)")
    start_step: int = Field(1500, ge=1, description="t of the noise that the start image gets (A.3)")
    sampling_steps: int = Field(25, ge=3, description="DPM-Solver steps")
    mask_steps: int = Field(3, ge=1, description="last sampling steps that the mask is averaged over")
    guidance: float = Field(
        8.0, ge=1, description="scale of classifier-free guidance; released: 8 MVTec AD, 2 VisA, 5 MVTec 3D"
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
    "precision": "fp32",
    "optimizer": "8bit",
    "normal_order": "listing",
    "start_images": "first-batch",
    "scale_start": False,
    "sampling_precision": "fp16",
}

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

PRESETS: dict[str, dict[str, Any]] = {"tiny": TINY, "released": RELEASED, **ABLATIONS}
