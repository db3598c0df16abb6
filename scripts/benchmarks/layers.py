"""One recurrent layer of each cell, in rnngen and in other libraries: forward, and forward with backward."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from rnngen.cells import CELLS

from . import with_equinox, with_flax, with_haiku, with_rnngen, with_torch
from .contenders import Layer, check_layers, installed, known_engines
from .floor import floor, library_floors
from .protocol import Bench, Options, Row
from .sharding import largest_divisor
from .tables import interval, milliseconds, number, text
from .timing import compared, geometric_mean, interleaved

NAMES = ("lstm", "gru", "rnn")
SHAPES = ((200, 64, 1, 128), (750, 20, 2, 80), (100, 32, 2, 128), (784, 64, 1, 128), (64, 64, 256, 512))
QUICK_SHAPES = ((6, 4, 3, 8),)
LIBRARIES: dict[str, Any] = {"torch": with_torch, "flax": with_flax, "haiku": with_haiku, "equinox": with_equinox}

OURS, ONE, SCAN, FLOOR = "rnngen auto, all devices", "rnngen auto", "rnngen scan", "floor"
BASES = {"ratio": OURS, "ratio_one_device": ONE, "ratio_scan": SCAN, "ratio_floor": FLOOR}


class Case(NamedTuple):
    """A cell and the sizes of one layer of it."""

    cell: str
    t: int
    b: int
    d: int
    h: int

    @property
    def label(self) -> str:
        return f"{self.cell} {self.t},{self.b},{self.d},{self.h}"


def cases(options: Options) -> dict[str, Case]:
    """Return the cases by name, such as `lstm 200,64,1,128`: cell and t, b, d, h."""
    return cases_of(NAMES, options)


def cases_of(cells: Iterable[str], options: Options) -> dict[str, Case]:
    """Return each of these cells in every shape."""
    shapes = QUICK_SHAPES if options.quick else SHAPES
    found = [Case(cell, *shape) for cell in cells for shape in shapes]
    return {case.label: case for case in found}


def notes(options: Options) -> list[str]:
    found, lines = installed(LIBRARIES)
    lines += known_engines(("fused",))[1]
    if "haiku" in found:
        lines.append(
            "* computes another function: Haiku's GRU resets before the recurrent product, its RNN is rectified"
        )
    if "equinox" in found:
        lines.append("equinox has no vanilla RNN")
    return lines


def layer_params(cell: str, d: int, h: int) -> dict[str, np.ndarray]:
    """Draw rnngen's parameters with nonzero biases, except for the one that Flax's GRU does not have."""
    params = jax.device_get(CELLS[cell](h).init(jax.random.key(0), d))
    noise = np.random.default_rng(0).standard_normal(params["bias"].shape, np.float32)
    return params | {"bias": params["bias"] + np.float32(0.1) * noise}


def contenders(case: Case, devices: int) -> list[Layer]:
    """Return all layers that can be timed here; those of rnngen first."""
    params = layer_params(case.cell, case.d, case.h)
    xs = np.random.default_rng(1).standard_normal((case.t, case.b, case.d), np.float32)
    cell, count = CELLS[case.cell](case.h), largest_divisor(case.b, min(devices, jax.device_count()))
    layers = [with_rnngen.layer(OURS, cell, params, xs, "auto", count)]
    for engine in known_engines(("auto", "fused", "scan"))[0]:
        layers.append(with_rnngen.layer(f"rnngen {engine}", cell, params, xs, engine))
    for name in installed(LIBRARIES)[0]:
        layers += LIBRARIES[name].layers(case.cell, params, xs)
    return [*layers, floor(*case), *library_floors(*case)]


def measure(case: Case, options: Options) -> list[Row]:
    """Return rows for forward and forward+backward, of layers that were checked to compute the same."""
    layers = contenders(case, options.devices)
    check_layers(layers, next(layer for layer in layers if layer.name == SCAN), case.label)
    facts = {layer.name: {"devices": layer.devices, "same_values": layer.same_values} for layer in layers}
    return [row | facts[row["contender"]] for row in both_passes(case, layers, options.repeats_or(15), BASES)]


def both_passes(case: Case, layers: Sequence[Layer], repeats: int, bases: Mapping[str, str]) -> list[Row]:
    """Return rows for forward and forward+backward, with a ratio for each of `bases`, see `compared`."""
    times = {
        "forward": interleaved({layer.name: layer.forward for layer in layers}, repeats),
        "forward+backward": interleaved({layer.name: layer.both for layer in layers}, repeats),
    }
    return [
        {"cell": case.cell, "shape": list(case[1:]), "pass": name} | row
        for name, timed in times.items()
        for row in compared(timed, bases)
    ]


def summarise(rows: list[Row]) -> list[Row]:
    """Return, per cell and pass, geometric means over shapes of the median paired ratios named in `SUMMARY`."""
    keys = dict.fromkeys((row["cell"], row["pass"]) for row in rows)
    return [
        {"cell": cell, "pass": name} | _means([row for row in rows if (row["cell"], row["pass"]) == (cell, name)])
        for cell, name in keys
    ]


# What the summary says: field -> (contender, the ratio of its row).
SUMMARY = {
    "torch_to_all_devices": ("torch", "ratio"),
    "torch_1_thread_to_all_devices": (with_torch.ONE_THREAD, "ratio"),
    "flax_to_all_devices": ("flax", "ratio"),
    "torch_to_one_device": ("torch", "ratio_one_device"),
    "flax_to_one_device": ("flax", "ratio_one_device"),
    "scan_to_one_device": (SCAN, "ratio_one_device"),
    "one_device_to_floor": (ONE, "ratio_floor"),
    "all_devices_to_floor": (OURS, "ratio_floor"),
}


def _means(rows: list[Row]) -> Row:
    def ratios(contender, field):
        return [row[field] for row in rows if row["contender"] == contender]

    means = {name: geometric_mean(ratios(*which)) for name, which in SUMMARY.items()}
    return {"shapes": len(ratios(OURS, "ratio"))} | means


def _starred(row: Row) -> str:
    return row["contender"] + ("" if row["same_values"] else " *")


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "contender": _starred,
        "pass": text("pass"),
        "JAX devices": text("devices"),
        "ms": milliseconds(),
        "/ ours, all devices": interval("ratio"),
        "/ ours, one device": interval("ratio_one_device"),
        "/ scan": number("ratio_scan"),
        "/ floor": number("ratio_floor"),
    },
    summarise=summarise,
    summary_columns={
        "cell": text("cell"),
        "pass": text("pass"),
        "shapes": text("shapes"),
        "torch / ours": number("torch_to_all_devices"),
        "torch 1 thread / ours": number("torch_1_thread_to_all_devices"),
        "flax / ours": number("flax_to_all_devices"),
        "torch / ours, 1 device": number("torch_to_one_device"),
        "flax / ours, 1 device": number("flax_to_one_device"),
        "scan / ours, 1 device": number("scan_to_one_device"),
        "ours, 1 device / floor": number("one_device_to_floor"),
        "ours / floor": number("all_devices_to_floor"),
    },
    notes=notes,
)
