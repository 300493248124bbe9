"""What is photographed: one module a category, each with `build`, `RIG`, `POSE` and `DEFECTS`."""
