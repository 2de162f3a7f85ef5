"""Benchmarks of the gateway, one module per sub-command of `scripts/bench`.

A *row* is a mapping from column to figure; ratios compare what was measured in one run on one machine, and only those
are worth quoting. A new benchmark is a module with `add_arguments` and `measure`, and a line in `__main__.py`.
"""
