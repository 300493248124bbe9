"""Segmenters that are trained on images and masks."""
