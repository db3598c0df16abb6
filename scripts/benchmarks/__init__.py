"""What `scripts/bench.py` measures: one module a bench, one module a library that is compared."""
