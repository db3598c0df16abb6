"""Drawing: the style of all figures, and the arguments that they share. Knows Matplotlib and no records."""

from pathlib import Path

STYLE = Path(__file__).with_name("rnngen.mplstyle")
