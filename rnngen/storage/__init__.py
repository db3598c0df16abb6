"""Storage of a run on disk: JSON lines, locks, provenance, preemption, trackers. Imports no JAX."""
