"""Sequences from a trained model, and analysis of it."""
