"""The gate: have metrics moved against a baseline, by more than chance and rounding explain, and why?

Pure functions: measurements and a baseline in, verdicts and texts out. `bench.cli.gate` reads and writes.
"""
