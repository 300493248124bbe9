"""Data sets: layout, check, fingerprint, split, decoded and resized pools."""
