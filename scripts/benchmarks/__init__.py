"""The measurements of `scripts/bench.py`: one module a bench, one module a library to compare with."""
