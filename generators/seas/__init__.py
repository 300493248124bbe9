"""SeaS: one Stable Diffusion U-Net a product, in which one token is the product and others its defects.

Dai, Zeng, Liu, Li, Xue, Zhou: SeaS: Few-shot Industrial Anomaly Image Generation with Separation and Sharing
Fine-tuning, ICCV 2025. Equation, section and figure numbers in this package are the paper's.
"""

from generators.seas.adapter import SeaS

__all__ = ["SeaS"]
