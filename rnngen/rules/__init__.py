"""Learning rules, one file each: how the gradient of a sequence is found, going backward or forward in time.

`RULES` lists them by name; `rule.gradient(model, params, xs, loss)` is what a rule gives for any cell or model.
"""

from collections.abc import Callable

from rnngen.rules.bptt import bptt
from rnngen.rules.eprop import eprop
from rnngen.rules.immediate import immediate
from rnngen.rules.online import online
from rnngen.rules.random import random
from rnngen.rules.rtrl import rtrl
from rnngen.rules.rule import Rule
from rnngen.rules.snap1 import snap1
from rnngen.rules.tbptt import tbptt
from rnngen.rules.uoro import uoro

__all__ = ["RULES", "Rule", "bptt", "eprop", "immediate", "online", "random", "rtrl", "snap1", "tbptt", "uoro"]

RULES: dict[str, Callable[..., Rule]] = {
    "bptt": bptt,
    "eprop": eprop,
    "immediate": immediate,
    "random": random,
    "rtrl": rtrl,
    "snap1": snap1,
    "tbptt": tbptt,
    "uoro": uoro,
}
