"""How fast the engines are: the README's table and figure, drawn from what `scripts/bench.py` wrote.

```bash
for bench in layers steps lengths compile diagnoses sweeps; do
    python scripts/bench.py $bench --out experiments/speed/$bench.json
done
# On a processor without AVX-512.
python scripts/bench.py layers --out experiments/speed/layers_avx2.json
python scripts/bench.py sweeps --only sweep --out experiments/speed/sweeps_avx2.json
python experiments/speed.py
```
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from rnngen.plotting.style import COLOURS, save
from rnngen.report.experiment import command
from rnngen.storage.jsonl import read_json

HERE = Path(__file__).with_suffix("")
ENGINES = {
    "scan": "#000000",
    "scan, remat": "#E69F00",
    "fused": "#0072B2",
    "associative": "#009E73",
    "newton": "#CC79A7",
}


def main(folder: Path) -> None:
    """Draw the figure, beside the folder, and print the table."""
    layers = [row for row in record(folder, "layers")["rows"] if row["pass"] == "forward+backward"]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    for axis, rival in zip(axes, ("torch", "flax"), strict=False):
        draw_ratios(axis, layers, rival)
    draw_lengths(axes[2], record(folder, "lengths")["rows"])
    for picture in save(figure, folder):
        print(picture)
    for name in ("layers", "layers_avx2"):
        found = record(folder, name)
        machine = found["machine"]
        print(f"\n{machine['vectors']}, {machine['cpu']}, {machine['cores']} cores, {machine['time'][:10]}")
        print_table([row for row in found["rows"] if row["pass"] == "forward+backward"])


def record(folder: Path, bench: str) -> dict:
    """What a bench wrote. Raises FileNotFoundError where it did not."""
    found = read_json(folder / f"{bench}.json")
    if found is None:
        raise FileNotFoundError(
            f"{folder / bench}.json is missing: python scripts/bench.py {bench} --out FILE writes it"
        )
    return found


def draw_ratios(axes: Axes, rows: list[dict], rival: str) -> None:
    """Bars of the rival's time to ours on one device, a group a shape, with their intervals."""
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row in rows))
    for number, cell in enumerate(("rnn", "gru", "lstm")):
        found = {tuple(row["shape"]): row for row in rows if row["cell"] == cell and row["contender"] == rival}
        places = np.arange(len(shapes)) + 0.27 * (number - 1)
        heights = np.array([found[shape]["ratio_one_device"] for shape in shapes])
        spans = np.array([found[shape]["ratio_one_device_interval"] for shape in shapes]).T
        errors = np.abs(spans - heights)
        axes.bar(places, heights, 0.25, color=COLOURS[cell], label=cell, yerr=errors, error_kw={"lw": 0.8})
    axes.axhline(1, color="0.3", lw=0.8)
    axes.set_xticks(range(len(shapes)), [",".join(map(str, shape)) for shape in shapes], rotation=20, fontsize=8)
    axes.set_title(f"{rival}'s time / rnngen's, forward and backward", fontsize=10)
    axes.set_xlabel("steps, batch, features in, units", fontsize=9)
    axes.legend(frameon=False, fontsize=9)


def draw_lengths(axes: Axes, rows: list[dict]) -> None:
    """Milliseconds against the length of the sequence, a curve an engine and cell."""
    styles = {"lstm": "-", "mingru": "--", "gru": ":"}
    rows = [row for row in rows if row["cell"] in styles]
    for cell, engine in dict.fromkeys((row["cell"], row["contender"]) for row in rows):
        series = [row for row in rows if (row["cell"], row["contender"]) == (cell, engine)]
        times = [1e3 * row["seconds"] for row in series]
        lengths = [row["t"] for row in series]
        axes.loglog(lengths, times, styles[cell], color=ENGINES[engine], lw=1.4, label=f"{cell}, {engine}")
    axes.set_title("time of one layer against length", fontsize=10)
    axes.set_xlabel("steps", fontsize=9)
    axes.set_ylabel("ms, forward and backward, one device", fontsize=9)
    axes.legend(frameon=False, fontsize=7)


def print_table(rows: list[dict]) -> None:
    """In Markdown: per cell the geometric means over shapes of the ratios to ours, and the smallest."""
    print("\n| cell | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS))
    for cell in ("lstm", "gru", "rnn"):
        cells = []
        for contender, field in COLUMNS.values():
            ratios = [r[field] for r in rows if r["cell"] == cell and r["contender"] == contender]
            cells.append(f"{np.exp(np.mean(np.log(ratios))):.2f} ({min(ratios):.2f})" if ratios else "-")
        print(f"| {cell} | " + " | ".join(cells) + " |")


COLUMNS = {
    "torch": ("torch", "ratio_one_device"),
    "torch of 1 thread": ("torch, 1 thread", "ratio_one_device"),
    "Flax": ("flax", "ratio_one_device"),
    "plain scan": ("rnngen scan", "ratio_one_device"),
    "torch, ours on 2 devices": ("torch", "ratio"),
    "Flax, ours on 2 devices": ("flax", "ratio"),
}


if __name__ == "__main__":
    command(__doc__, HERE, main)
