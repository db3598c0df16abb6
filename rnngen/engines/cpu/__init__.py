"""Compiled loops for CPUs: generated from a cell, built, timed and called."""
