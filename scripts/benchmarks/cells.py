"""Every cell of the zoo, and an MGU as a stranger would write it: `auto` beside a plain scan, on one device."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.cells import CELLS, Cell, Gated, gate_params, gated_cell, get_initializer, project_input

from . import with_rnngen
from .contenders import check_close
from .layers import Case, both_passes, cases_of
from .protocol import Bench, Options, Row
from .tables import interval, milliseconds, number, text
from .timing import geometric_mean

AUTO, SCAN = "auto", "scan"


def own_mgu(hidden_dim: int) -> Cell:
    """A minimal gated unit whose gate acts after the product (after Zhou et al. 2016), in twenty lines."""
    glorot, orthogonal = get_initializer("glorot"), get_initializer("orthogonal")

    def init(key, input_dim):
        return gate_params(key, input_dim, hidden_dim, 2, kernel_init=glorot, recurrent_init=orthogonal)

    def init_carry(params, batch_shape):
        return jnp.zeros((*batch_shape, hidden_dim), params["bias"].dtype)

    def combine(params, h, u, a):
        f = jax.nn.sigmoid(u[..., :hidden_dim] + a[..., :hidden_dim])
        n = jnp.tanh(u[..., hidden_dim:] + f * a[..., hidden_dim:])
        h = h + f * (n - h)
        return h, h

    structure = Gated(hidden=lambda h: h, combine=combine)
    return gated_cell(
        init=init, init_carry=init_carry, structure=structure, output_dim=hidden_dim, project=project_input
    )


WRAPPED = ("residual", "variational_dropout", "zoneout")
MAKERS: dict[str, Callable[[int], Cell]] = (
    {name: make for name, make in CELLS.items() if name not in WRAPPED}
    | {name: lambda h, name=name: CELLS[name](cell="lstm", hidden_dim=h) for name in WRAPPED}
    | {
        "lstm, peepholes": lambda h: CELLS["lstm"](h, peepholes=True),
        "lstm, coupled": lambda h: CELLS["lstm"](h, coupled=True),
        "lstm, layer norm": lambda h: CELLS["lstm"](h, layer_norm=True),
        "gru, reset before": lambda h: CELLS["gru"](h, reset="before"),
        "rnn, relu": lambda h: CELLS["rnn"](h, activation="relu"),
        "an MGU of one's own": own_mgu,
    }
)


def measure(case: Case, options: Options) -> list[Row]:
    """Return rows for forward and forward+backward, of layers that were checked to compute the same."""
    cell = MAKERS[case.cell](case.h)
    params = cell.init(jax.random.key(0), case.d)
    xs = np.random.default_rng(1).standard_normal((case.t, case.b, case.d), np.float32)
    auto, scan = layers = [with_rnngen.layer(engine, cell, params, xs, engine) for engine in (AUTO, SCAN)]
    check_close(f"{case.label}: the output of {AUTO}", auto.forward(), scan.forward())
    return both_passes(case, layers, options.repeats_or(7), {"ratio": AUTO})


def summarise(rows: list[Row]) -> list[Row]:
    """Return, per cell and pass, a scan's time over that of `auto`: geometric mean over shapes, and the least."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["contender"] == SCAN:
            found.setdefault((row["cell"], row["pass"]), []).append(row["ratio"])
    return [
        {"cell": cell, "pass": name, "mean": geometric_mean(ratios), "least": min(ratios)}
        for (cell, name), ratios in found.items()
    ]


BENCH = Bench(
    cases=lambda options: cases_of(MAKERS, options),
    measure=measure,
    columns={
        "engine": text("contender"),
        "pass": text("pass"),
        "ms": milliseconds(),
        "/ auto": interval("ratio"),
    },
    summarise=summarise,
    summary_columns={
        "cell": text("cell"),
        "pass": text("pass"),
        "scan / auto": number("mean"),
        "least": number("least"),
    },
)
