"""Running tasks: the driver, the executors, and the process that executes one task."""
