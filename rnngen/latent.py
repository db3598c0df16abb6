"""Latent recurrent models: VRNN (Chung et al. 2015, "A recurrent latent variable model for sequential data").

With h_{t-1} what the cell has made of all values and latent variables before step t:

    prior      z_t ~ N(mu_p, diag(sigma_p^2)),   [mu_p, sigma_p] = prior(h_{t-1})
    decoder    x_t | z_t ~ head(decode(phi_z(z_t), h_{t-1}))
    encoder    z_t | x_t ~ N(mu_q, diag(sigma_q^2)),   [mu_q, sigma_q] = encode(phi_x(x_t), h_{t-1})
    recurrence h_t = cell(h_{t-1}, phi_x(x_t), phi_z(z_t))

Here a step begins with the recurrence of the step before it: a task feeds x_{t-1} and asks for x_t, so the carry holds
phi_z(z_{t-1}), and the same mathematics runs over any task that makes sequences.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.cells.initializers import lecun
from rnngen.engines import cast_params, unroll
from rnngen.heads import Head
from rnngen.models import Model
from rnngen.types import Array, Batch, Carry, InputSpec, Key, Params, check_positive

SMALLEST = 1e-3  # of a latent standard deviation, below which float32's log-densities get coarse


class Gaussian(NamedTuple):
    """Independent Gaussians: mean and standard deviation `[*b, z]`."""

    mean: Array
    scale: Array

    def at(self, noise: Array) -> Array:
        """The value that standard normal noise stands for."""
        return self.mean + self.scale * noise

    def log_prob(self, z: Array) -> Array:
        """`[*b]`."""
        each = -0.5 * ((z - self.mean) / self.scale) ** 2 - jnp.log(self.scale) - 0.5 * jnp.log(2 * jnp.pi)
        return jnp.sum(each, axis=-1)

    def kl_to(self, other: "Gaussian") -> Array:
        """Kullback-Leibler divergence from this to the other, in closed form: `[*b]`."""
        ratio, shift = self.scale / other.scale, (self.mean - other.mean) / other.scale
        return jnp.sum(0.5 * (ratio**2 + shift**2 - 1) - jnp.log(ratio), axis=-1)


class Terms(NamedTuple):
    """What a step says of a value: its log-probability given z, the divergence of encoder from prior, and the log of
    the importance weight p(x | z) p(z) / q(z | x); all `[*b]`."""

    log_px: Array
    kl: Array
    log_w: Array


def vrnn(latent_dim: int = 32, feature_dim: int = 128, samples: int = 1) -> Callable[..., Model]:
    """A VRNN: a Gaussian latent variable at every step, whose prior depends on the past (Chung et al. 2015).

    feature_dim: of all layers between, which are ReLU. samples: of the importance-weighted bound (Burda et al. 2016) by
    which evaluation scores whole sequences (metric `iw_bound`), 1: none; a task of chunks has no whole ones.
    Trained on the evidence lower bound: `loss` is its negative a step, `kl` its second part.
    """
    check_positive(latent_dim=latent_dim, feature_dim=feature_dim, samples=samples)

    def build(
        cells: Sequence[Cell], spec: InputSpec, head: Head, *, dtype: str = "float32", engine: Any = "auto"
    ) -> Model:
        if len(cells) != 1 or spec.feed is None:
            what = f"a task that makes sequences{'' if spec.feed else ', and this one does not'}"
            raise ValueError(f"vrnn needs one layer, got {len(cells)}, and {what}")
        made = _VRNN(cells[0], spec, head, latent_dim, feature_dim, samples, jnp.dtype(dtype), engine)
        return made.as_model()

    return build


def none() -> None:
    """No latent variables: the head's distribution is all that is random."""


LATENTS: Mapping[str, Callable[..., Callable[..., Model] | None]] = {"none": none, "vrnn": vrnn}


class _VRNN:
    """What the model's functions close over; nothing in it changes."""

    def __init__(
        self, cell: Cell, spec: InputSpec, head: Head, latent: int, features: int, samples: int, dtype, engine
    ):
        self.inner, self.spec, self.head, self.dtype, self.engine = cell, spec, head, dtype, engine
        self.latent, self.features, self.samples = latent, features, samples

    def init(self, key: Key) -> Params:
        h, f, z = self.inner.output_dim, self.features, self.latent
        widths = {
            "see": (self.spec.dim, f),
            "see_latent": (z, f),
            "prior": (h, f, 2 * z),
            "encode": (f + h, f, 2 * z),
            "decode": (f + h, f, self.head.num_params),
        }
        key_cell, *keys = jax.random.split(key, 1 + len(widths))
        layers = {name: _init_layers(k, *sizes) for k, (name, sizes) in zip(keys, widths.items(), strict=True)}
        return {"layer_0": self.inner.init(key_cell, 2 * f)} | layers

    def prepare(self, params: Params) -> Params:
        like = jnp.zeros((), self.dtype)
        return cast_params(params | {"layer_0": self.inner.prepare(params["layer_0"])}, like)

    def init_carry(self, params: Params, batch_shape: tuple[int, ...]) -> Carry:
        return self._first(self.prepare(params), batch_shape)

    # All below see prepared parameters, as a cell's functions do.

    def _first(self, p: Params, batch_shape: tuple[int, ...]) -> Carry:
        seen = jnp.zeros((*batch_shape, self.features), self.dtype)
        return {"layer_0": self.inner.init_carry(p["layer_0"], batch_shape), "latent": seen}

    def _features(self, p: Params, inputs: Array) -> Array:
        x = jax.nn.one_hot(inputs, self.spec.dim, dtype=self.dtype) if self.spec.tokens else inputs.astype(self.dtype)
        return _run_layers(p["see"], x, last=jax.nn.relu)

    def _recur(self, p: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        """The cell's carry and h, from the features of the value before and the latent features in the carry."""
        seen = jnp.concatenate([x, carry["latent"]], axis=-1)
        inner = p["layer_0"]
        return self.inner.step(inner, carry["layer_0"], self.inner.project(inner, seen))

    def _decode(self, p: Params, z: Array, h: Array) -> tuple[Array, Array]:
        """(latent features, the head's numbers)."""
        seen = _run_layers(p["see_latent"], z.astype(self.dtype), last=jax.nn.relu)
        return seen, _wide(_run_layers(p["decode"], jnp.concatenate([seen, h], axis=-1)))

    def explain(self, p: Params, carry: Carry, u: tuple) -> tuple[Carry, Terms]:
        """One step of training: u is the features of the value before, those of the value itself, it, and noise."""
        x, here, target, noise = u
        inner, h = self._recur(p, carry, x)
        prior = _gaussian(p["prior"], h)
        posterior = _gaussian(p["encode"], jnp.concatenate([here, h], axis=-1))
        z = posterior.at(noise)
        seen, outputs = self._decode(p, z, h)
        log_px = self.head.log_prob(outputs, target)
        log_w = log_px + prior.log_prob(z) - posterior.log_prob(z)
        return {"layer_0": inner, "latent": seen}, Terms(log_px, posterior.kl_to(prior), log_w)

    def _expected(self, p: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        """One step without a value to explain: z is the prior's mean."""
        inner, h = self._recur(p, carry, x)
        seen, outputs = self._decode(p, _gaussian(p["prior"], h).mean, h)
        return {"layer_0": inner, "latent": seen}, outputs

    def draw(self, p: Params, carry: Carry, x: Array, key: Key, **how: Any) -> tuple[Carry, Array]:
        key_latent, key_value = jax.random.split(key)
        inner, h = self._recur(p, carry, self._features(p, x))
        prior = _gaussian(p["prior"], h)
        seen, outputs = self._decode(p, prior.at(jax.random.normal(key_latent, prior.mean.shape)), h)
        return {"layer_0": inner, "latent": seen}, self.head.sample(key_value, outputs, **how)

    def cell_of(self, step: Callable, width: int, features: Callable) -> Cell:
        """The whole model as a cell."""
        init = lambda key, input_dim: self.init(key)  # noqa: E731
        return Cell(init, self._first, step, width, lambda p, xs, key=None: features(p, xs), self.prepare)

    def loss(self, params: Params, batch: Batch, carry: Carry = None, *, key: Key | None = None, train: bool = False):
        key = jax.random.key(0) if key is None else key  # an evaluation is the same each time
        last, terms = self._explained(params, batch, carry, key, 1)
        count = jnp.sum(batch.weights)
        mean = lambda x: (jnp.sum(x[:, 0] * batch.weights), count)  # noqa: E731
        sums = {"loss": mean(terms.kl - terms.log_px), "kl": mean(terms.kl)}
        if self.samples > 1 and not train and batch.resets is None and carry is None:
            _, many = self._explained(params, batch, carry, jax.random.fold_in(key, 1), self.samples)
            sums["iw_bound"] = (-jnp.sum(_bound(many.log_w, batch.weights)), count)
        total, count = sums["loss"]
        return total / jnp.maximum(count, 1), (jax.tree.map(lambda x: x[0], last), sums)

    def _explained(self, params: Params, batch: Batch, carry: Carry, key: Key, samples: int) -> tuple[Carry, Terms]:
        """Terms `[t, samples, b]`: samples are one more batch axis."""
        copies = (
            lambda x, axis: jnp.broadcast_to(  # noqa: E731
                jnp.expand_dims(x, axis), (*x.shape[:axis], samples, *x.shape[axis:])
            )
        )
        feed = self.spec.feed
        assert feed is not None
        noise = jax.random.normal(key, (batch.weights.shape[0], samples, *batch.weights.shape[1:], self.latent))
        xs = (*(copies(x, 1) for x in (batch.inputs, feed(batch.targets), batch.targets)), noise)
        flags = {
            name: None if f is None else copies(f, 1) for name, f in (("mask", batch.mask), ("resets", batch.resets))
        }
        flags["mask"] = copies(batch.existing(), 1) if flags["mask"] is None else flags["mask"]
        features = lambda p, u: (self._features(p, u[0]), self._features(p, u[1]), u[2], u[3])  # noqa: E731
        cell = self.cell_of(self.explain, 1, features)
        start = None if carry is None else jax.tree.map(lambda x: copies(x, 0), carry)
        return unroll(cell, params, xs, start, engine=self.engine, **flags)

    def apply(self, params: Params, inputs: Array, carry: Carry = None, *, mask=None, resets=None, probes=None, **_):
        return unroll(
            self.generative_cell(), params, inputs, carry, mask=mask, resets=resets, probes=probes, engine=self.engine
        )

    def generative_cell(self) -> Cell:
        """The model as it goes on without a value to explain."""
        return self.cell_of(self._expected, self.head.num_params, self._features)

    def step(self, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        p = self.prepare(params)
        return self._expected(p, carry, self._features(p, x))

    def as_model(self) -> Model:
        ends = (self.generative_cell(), {"layer_0": self.inner}, lambda params, ys: ys)
        steps = (self.init, self.init_carry, self.apply, self.step, self.loss)
        return Model(*steps, *ends, self.draw, self.spec, self.head)


def _bound(log_w: Array, weights: Array) -> Array:
    """`log 1/K sum_k w_k` of whole sequences, from their steps' log-weights `[t, k, b]`: `[b]`."""
    total = jnp.sum(log_w * weights[:, None], axis=0)
    return jax.nn.logsumexp(total, axis=0) - jnp.log(jnp.asarray(total.shape[0], total.dtype))


def _init_layers(key: Key, *widths: int) -> Params:
    keys = jax.random.split(key, len(widths) - 1)
    return {
        f"dense_{i}": {"kernel": lecun()(k, (a, b)), "bias": jnp.zeros(b)}
        for i, (k, a, b) in enumerate(zip(keys, widths[:-1], widths[1:], strict=True))
    }


def _run_layers(layers: Params, x: Array, last: Callable = lambda x: x) -> Array:
    """Dense layers with ReLU between them."""
    for i in range(len(layers)):
        x = x @ layers[f"dense_{i}"]["kernel"] + layers[f"dense_{i}"]["bias"]
        x = jax.nn.relu(x) if i + 1 < len(layers) else last(x)
    return x


def _gaussian(layers: Params, x: Array) -> Gaussian:
    mean, raw = jnp.split(_wide(_run_layers(layers, x)), 2, axis=-1)
    return Gaussian(mean, jax.nn.softplus(raw) + SMALLEST)


def _wide(x: Array) -> Array:
    """Densities are taken in float32 at least, whatever the layers compute in."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
