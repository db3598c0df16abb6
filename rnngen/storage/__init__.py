"""How a run is kept on disk: JSON lines, locks, provenance, preemption, trackers. Imports no JAX."""
