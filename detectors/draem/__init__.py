"""DRAEM: a network that paints defects over, and one that finds them by the difference."""
