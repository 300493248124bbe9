"""PatchCore: the distance of an image's patches to those of normal images."""
