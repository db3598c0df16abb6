"""Compiled loops for CPUs: generating their C++ from a cell, building, timing and calling them."""
