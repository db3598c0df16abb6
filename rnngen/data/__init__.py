"""Real data, split and scaled."""

from rnngen.data.digits import load_digits

__all__ = ["load_digits"]
