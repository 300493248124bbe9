"""Records of metric values: what each one is, and what it may be compared with."""
