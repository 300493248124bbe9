"""MMSegmentation's BiSeNetV2, from the configuration that its package ships."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # mmcv without compiled operators warns of attention modules that BiSeNetV2 does not have.
    warnings.simplefilter("ignore")
    import mmseg
    import mmseg.models
    from mmengine.config import Config
    from mmseg.registry import MODELS
import torch.nn.functional as F
from torch import Tensor, nn

CONFIG = Path(mmseg.__file__).parent / ".mim" / "configs" / "_base_" / "models" / "bisenetv2.py"


class BiSeNetV2Network(nn.Module):
    """Logits (B, 2, H, W); in training mode a list: the output and those of the four auxiliary heads."""

    def __init__(self) -> None:
        super().__init__()
        # One process a task: SyncBN would need a process group, and equals BN without one.
        model = _replaced(Config.fromfile(CONFIG).model.to_dict(), {"SyncBN": "BN"})
        with _quiet():
            self.backbone = MODELS.build(model["backbone"])
            self.heads = nn.ModuleList(
                MODELS.build({**head, "num_classes": 2})
                for head in (model["decode_head"], *model["auxiliary_head"])
            )
            for part in (self.backbone, *self.heads):
                part.init_weights()

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        features = self.backbone(images)  # (B, 128, H/8, W/8), (B, 16, H/4, W/4), ... (B, 128, H/32, W/32)
        heads = self.heads if self.training else self.heads[:1]
        logits = [
            F.interpolate(head(features), images.shape[-2:], mode="bilinear", align_corners=False)
            for head in heads
        ]
        return logits if self.training else logits[0]


def _replaced(value: Any, by: dict[str, str]) -> Any:
    """`value` with every string that `by` names replaced, at any depth."""
    if isinstance(value, dict):
        return {key: _replaced(item, by) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, by) for item in value]
    return by.get(value, value) if isinstance(value, str) else value


@contextmanager
def _quiet() -> Iterator[None]:
    """MMSegmentation warns of losses and prints a page of log lines on the initial weights."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
