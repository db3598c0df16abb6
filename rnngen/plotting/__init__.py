"""Drawing: the style of all figures, and what every figure of records takes. Knows Matplotlib and no records."""
