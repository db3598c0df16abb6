"""rnngen: how far back does a recurrent cell's gradient reach, and what does that buy?"""

from rnngen import cells, diagnostics, sweep
from rnngen.engines import unroll
from rnngen.generate import generate
from rnngen.records import load

__version__ = "0.1.0"

__all__ = ["__version__", "cells", "diagnostics", "generate", "load", "sweep", "unroll"]
