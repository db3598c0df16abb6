"""Latent recurrent models: VRNN (Chung et al. 2015, "A recurrent latent variable model for sequential data").

With h_{t-1} what the cell has made of all values and latent variables before step t:

    prior      z_t ~ N(mu_p, diag(sigma_p^2)),         [mu_p, sigma_p] = prior(h_{t-1})
    decoder    x_t | z_t ~ head(decode(phi_z(z_t), h_{t-1}))
    encoder    z_t | x_t ~ N(mu_q, diag(sigma_q^2)),   [mu_q, sigma_q] = encode(phi_x(x_t), h_{t-1})
    recurrence h_t = cell(h_{t-1}, phi_x(x_t), phi_z(z_t))

Here a step begins with the recurrence of the step before it: a task feeds x_{t-1} and asks for x_t, so the carry holds
phi_z(z_{t-1}), and the same mathematics runs over any task that makes sequences. Before the first step the carry holds
zeros, and h_0 is what the cell makes of these and of the task's first input.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.engines import cast_params, unroll
from rnngen.heads import Head
from rnngen.models.latent import gaussian_of, init_dense, run_dense
from rnngen.models.layers import init_params
from rnngen.models.model import StepModel
from rnngen.tasks.losses import mean_loss
from rnngen.types import Array, Batch, Carry, InputSpec, Key, Params, PyTree, at_least_float32, check_positive

LAYER, LATENT = "layer_0", "latent"


class Terms(NamedTuple):
    """Terms of the bound at one step, all `[*b]`.

    Attributes:
      log_px: log-probability of the value given z.
      kl: divergence of the encoder from the prior.
      log_w: log of the importance weight p(x | z) p(z) / q(z | x).
    """

    log_px: Array
    kl: Array
    log_w: Array


def vrnn(latent_dim: int = 32, feature_dim: int = 128, samples: int = 1) -> Callable[..., StepModel]:
    """A VRNN: a Gaussian latent variable at every step, whose prior depends on the past (Chung et al. 2015).

    Trained on the evidence lower bound: `loss` is its negative per step, `kl` its second part, and `iw_bound` the
    negative of a tighter one; they bound the likelihood where every step counts. Diagnoses see the model with each
    z at its prior's mean. Temperature multiplies the prior's variances as well, so that 0 draws the same each time.

    Args:
      latent_dim: of the latent variable.
      feature_dim: of all layers between, which are ReLU.
      samples: of the importance-weighted bound (Burda et al. 2016), `iw_bound`, which evaluation adds where it sees
        whole sequences; 1: none, and a task of chunks has no whole ones.

    Returns:
      What builds the model, in the place of `build_model`.
    """
    check_positive(latent_dim=latent_dim, feature_dim=feature_dim, samples=samples)

    def build(
        cells: Sequence[Cell], spec: InputSpec, head: Head, *, dtype: str = "float32", engine: Any = "auto"
    ) -> StepModel:
        """Raise ValueError for several layers, a task that makes no sequences, and an engine that cannot run it."""
        if len(cells) != 1:
            raise ValueError(f"num_layers must be 1 for a vrnn, got {len(cells)}")
        if spec.feed is None:
            raise ValueError("a vrnn needs a task that makes sequences, and this one does not")
        made = VRNN(cells[0], spec, head, Sizes(latent_dim, feature_dim, samples), jnp.dtype(dtype), engine)
        # By the shapes alone, so that an engine that refuses does so now.
        two = jnp.stack([jnp.asarray(spec.start)] * 2)
        jax.eval_shape(lambda key: made.apply(made.init(key), two), jax.random.key(0))
        return made.as_model()

    return build


def none() -> None:
    """No latent variables: only the head's distribution is random."""


LATENTS: Mapping[str, Callable[..., Callable[..., StepModel] | None]] = {"none": none, "vrnn": vrnn}


class Sizes(NamedTuple):
    """Arguments of `vrnn`."""

    latent: int
    features: int
    samples: int


class VRNN:
    """Constants that the functions of a model close over; nothing in it changes, so its methods are pure."""

    def __init__(self, cell: Cell, spec: InputSpec, head: Head, sizes: Sizes, dtype, engine):
        self.inner, self.spec, self.head = cell, spec, head
        self.sizes, self.dtype, self.engine = sizes, dtype, engine
        self.explaining = self._as_cell(self._explain, 1, self._project_pair)
        self.generating = self._as_cell(self._expect, head.num_params, self._project)._replace(observe=self._observe)

    def _as_cell(self, step: Callable, output_dim: int, project: Callable) -> Cell:
        # A model's init takes no input width, but a Cell's does.
        init = lambda key, input_dim: self.init(key)  # noqa: E731
        return Cell(init, self._first_carry, step, output_dim, project, self.prepare)

    def as_model(self) -> StepModel:
        """Return the methods below as a model."""
        functions = (self.init, self.init_carry, self.apply, self.loss, self.spec, self.head)
        return StepModel(*functions, self.step, self.generating, self.draw)

    def init(self, key: Key) -> Params:
        """Draw parameters: the cell's under `layer_0`, and those of each dense network."""
        h, f, z = self.inner.output_dim, self.sizes.features, self.sizes.latent
        widths = {
            "see": (self.spec.dim, f),
            "see_latent": (z, f),
            "prior": (h, f, 2 * z),
            "encode": (f + h, f, 2 * z),
            "decode": (f + h, f, self.head.num_params),
        }
        key_cell, *keys = jax.random.split(key, 1 + len(widths))
        layers = {name: init_dense(k, *sizes) for k, (name, sizes) in zip(keys, widths.items(), strict=True)}
        return {LAYER: init_params(self.inner, key_cell, 2 * f)} | layers

    def prepare(self, params: Params) -> Params:
        """Prepare parameters once per unroll, as a cell does, cast to the dtype of the model."""
        return cast_params(params | {LAYER: self.inner.prepare(params[LAYER])}, jnp.zeros((), self.dtype))

    def init_carry(self, params: Params, batch_shape: tuple[int, ...]) -> Carry:
        """Return the carry before the first step."""
        return self._first_carry(self.prepare(params), batch_shape)

    def apply(
        self,
        params: Params,
        inputs: Array,
        carry: Carry = None,
        *,
        mask=None,
        resets=None,
        probes=None,
        engine=None,
        **_,
    ):
        """Return (last carry, outputs `[t, *b, num_params]`), with z at the mean of its prior."""
        self.spec.check("inputs", inputs)
        if mask is None:  # tokens do not tell the engine which axes are the batch's
            mask = jnp.ones(inputs.shape if self.spec.tokens else inputs.shape[:-1], bool)
        options = {"mask": mask, "resets": resets, "probes": probes, "engine": engine or self.engine}
        return unroll(self.generating, params, inputs, carry, **options)

    def step(self, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        """Take one step of `apply`."""
        self.spec.check("x", x)
        p = self.prepare(params)
        return self._expect(p, carry, self._project(p, x))

    def loss(self, params: Params, batch: Batch, carry: Carry = None, *, key: Key | None = None, train: bool = False):
        """Compute the negative bound in nats per step, with its parts; z is drawn by the key."""
        self.spec.check("inputs", batch.inputs)
        key = jax.random.key(0) if key is None else key  # an evaluation is the same each time
        key_one, key_many = jax.random.split(key)
        last, terms = self.explain(params, batch, carry, self.noise(key_one, batch, 1))
        scalar, loss = mean_loss(terms.kl[:, 0] - terms.log_px[:, 0], batch.weights)
        sums = {"loss": loss, "kl": mean_loss(terms.kl[:, 0], batch.weights)[1]}
        if self.sizes.samples > 1 and not train and batch.resets is None and carry is None:
            many = self.explain(params, batch, None, self.noise(key_many, batch, self.sizes.samples))[1]
            sums["iw_bound"] = (-jnp.sum(_bound(many.log_w, batch.weights)), loss[1])
        return scalar, (jax.tree.map(lambda x: x[0], last), sums)

    def noise(self, key: Key, batch: Batch, samples: int) -> Array:
        """Draw standard normal noise `[t, samples, *b, z]`."""
        steps, *batch_shape = batch.weights.shape
        return jax.random.normal(key, (steps, samples, *batch_shape, self.sizes.latent))

    def explain(self, params: Params, batch: Batch, carry: Carry, noise: Array) -> tuple[Carry, Terms]:
        """Return carry `[samples, *b, ...]` and terms `[t, samples, *b]` of a batch, z by the encoder from noise."""
        assert self.spec.feed is not None
        samples = noise.shape[1]
        seen = batch.inputs, self.spec.feed(batch.targets), batch.targets
        xs = (*_copies(seen, 1, samples), noise)
        mask, resets = _copies((batch.existing(), batch.resets), 1, samples)
        carry = _copies(carry, 0, samples)
        return unroll(self.explaining, params, xs, carry, mask=mask, resets=resets, engine=self.engine)

    def draw(self, p: Params, carry: Carry, x: Array, key: Key, **how: Any) -> tuple[Carry, Array]:
        """Take one step of making a sequence: (carry, values), z and values drawn by the key."""
        key_latent, key_value = jax.random.split(key)
        inner, h = self._recur(p, carry, self._project(p, x))
        prior = gaussian_of(p["prior"], h)
        noise = jax.random.normal(key_latent, prior.mean.shape, prior.mean.dtype)
        noise = math.sqrt(how.get("temperature", 1.0)) * noise
        seen, outputs = self._decode(p, prior.at(noise), h)
        return {LAYER: inner, LATENT: seen}, self.head.sample(key_value, outputs, **how)

    # All below see prepared parameters, as a cell's functions do.

    def _first_carry(self, p: Params, batch_shape: tuple[int, ...]) -> Carry:
        nothing = jnp.zeros((*batch_shape, self.sizes.features), self.dtype)
        return {LAYER: self.inner.init_carry(p[LAYER], batch_shape), LATENT: nothing}

    def _project(self, p: Params, inputs: Array, key: Key | None = None) -> Array:
        """Compute phi_x."""
        x = jax.nn.one_hot(inputs, self.spec.dim, dtype=self.dtype) if self.spec.tokens else inputs.astype(self.dtype)
        return jax.nn.relu(run_dense(p["see"], x))

    def _project_pair(self, p: Params, xs: tuple, key: Key | None = None) -> tuple:
        """Project the value before and the value itself; return the value and noise as well."""
        before, here, value, noise = xs
        return self._project(p, before), self._project(p, here), value, noise

    def _recur(self, p: Params, carry: Carry, before: Array) -> tuple[Carry, Array]:
        """Return the cell's carry and h, from the features of the value and the latent variable before."""
        seen = jnp.concatenate([before, carry[LATENT]], axis=-1)
        return self.inner.step(p[LAYER], carry[LAYER], self.inner.project(p[LAYER], seen))

    def _decode(self, p: Params, z: Array, h: Array) -> tuple[Array, Array]:
        """Return (phi_z, the head's parameters)."""
        seen = jax.nn.relu(run_dense(p["see_latent"], z.astype(self.dtype)))
        return seen, at_least_float32(run_dense(p["decode"], jnp.concatenate([seen, h], axis=-1)))

    def _explain(self, p: Params, carry: Carry, u: tuple) -> tuple[Carry, Terms]:
        """Take a step with a value to explain."""
        before, here, value, noise = u
        inner, h = self._recur(p, carry, before)
        prior = gaussian_of(p["prior"], h)
        posterior = gaussian_of(p["encode"], jnp.concatenate([here, h], axis=-1))
        z = posterior.at(noise)
        seen, outputs = self._decode(p, z, h)
        log_px = self.head.log_prob(outputs, value)
        log_w = log_px + prior.log_prob(z) - posterior.log_prob(z)
        return {LAYER: inner, LATENT: seen}, Terms(log_px, posterior.kl_to(prior), log_w)

    def _expect(self, p: Params, carry: Carry, before: Array) -> tuple[Carry, Array]:
        """Take a step without a value to explain: z is the prior's mean."""
        inner, h = self._recur(p, carry, before)
        seen, outputs = self._decode(p, gaussian_of(p["prior"], h).mean, h)
        return {LAYER: inner, LATENT: seen}, outputs

    def _observe(self, p: Params, carry: Carry, before: Array) -> dict[str, Array]:
        seen = jnp.concatenate([before, carry[LATENT]], axis=-1)
        shown = self.inner.observe(p[LAYER], carry[LAYER], self.inner.project(p[LAYER], seen))
        return {f"{LAYER}/{what}": value for what, value in shown.items()}


def _bound(log_w: Array, weights: Array) -> Array:
    """Compute log (1/K sum_k w_k) of whole sequences from their steps' log-weights `[t, k, *b]`: `[*b]`."""
    weights = weights[:, None]
    total = jnp.sum(jnp.where(weights != 0, log_w, 0) * weights, axis=0)
    return jax.nn.logsumexp(total, axis=0) - math.log(len(total))


def _copies(tree: PyTree, axis: int, count: int) -> PyTree:
    """Make `count` copies of every array, along a new axis; None stays."""

    def copies(x):
        return jnp.broadcast_to(jnp.expand_dims(x, axis), (*x.shape[:axis], count, *x.shape[axis:]))

    return jax.tree.map(copies, tree)
