"""Initialisers of kernels: each factory returns `(key, shape, dtype) -> array`.

A kernel `[rows, columns]` multiplies from the right, so column j holds the weights *into* unit j.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.registry import find
from rnngen.types import Array, Key, Params, check_positive

Initializer = Callable[..., Array]


def zeros() -> Initializer:
    """Zeros.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.zeros


def normal(stddev: float = 0.01) -> Initializer:
    """Gaussian of this standard deviation, whatever the shape.

    Args:
      stddev: standard deviation.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.normal(stddev)


def gaussian(gain: float = 1.0) -> Initializer:
    """Gaussian with variance gain^2 / fan_in: a square one has spectral radius `gain` in the limit of width.

    Args:
      gain: factor of the weights.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_in", "normal")


def glorot(gain: float = 1.0) -> Initializer:
    """Uniform with variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio 2010).

    Args:
      gain: factor of the weights.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform")


def lecun(gain: float = 1.0) -> Initializer:
    """Truncated Gaussian with variance gain^2 / fan_in (LeCun et al. 1998).

    Args:
      gain: factor of the weights.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_in", "truncated_normal")


def orthogonal(gain: float = 1.0) -> Initializer:
    """Random orthogonal matrix, uniform in the Haar measure (Saxe et al. 2014), times gain.

    Args:
      gain: factor of the weights.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    return jax.nn.initializers.orthogonal(gain)


def identity(scale: float = 1.0) -> Initializer:
    """Identity matrix times scale: with relu units and scale 1 this is IRNN (Le, Jaitly and Hinton 2015).

    Args:
      scale: of the diagonal.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """

    def init(key: Key, shape, dtype=jnp.float32) -> Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"the identity needs a square kernel, got {tuple(shape)}")
        return scale * jnp.eye(shape[0], dtype=dtype)

    return init


def sparse(fan_in: int = 15, spectral_radius: float = 0.95) -> Initializer:
    """Sparse Gaussian: `fan_in` weights into each unit, the rest 0, scaled to a spectral radius.

    The "smart tanh" initialisation of Pascanu, Mikolov and Bengio 2013, with its numbers as defaults.
    Square kernels only; a fan_in larger than the kernel gives a dense one.

    Args:
      fan_in: weights into each unit.
      spectral_radius: of the kernel.

    Returns:
      The initialiser, `(key, shape, dtype) -> array`.
    """
    check_positive(fan_in=fan_in)

    def init(key: Key, shape, dtype=jnp.float32) -> Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"a spectral radius needs a square kernel, got {tuple(shape)}")
        key_place, key_weight = jax.random.split(key)
        rank = jnp.argsort(jnp.argsort(jax.random.uniform(key_place, shape, jnp.float32), axis=0), axis=0)
        weights = jnp.where(rank < fan_in, jax.random.normal(key_weight, shape, dtype), 0)
        return weights * (spectral_radius / _spectral_radius(weights)).astype(dtype)

    return init


def _spectral_radius(kernel: Array) -> Array:
    # On the host: XLA has eigenvalues of general matrices on the CPU only.
    def radius(k):
        return np.abs(np.linalg.eigvals(np.asarray(k))).max().astype(k.dtype)

    return jax.pure_callback(radius, jax.ShapeDtypeStruct((), kernel.dtype), kernel, vmap_method="sequential")


def chrono_bias(key: Key, hidden_dim: int, longest: int, constant: float) -> Array:
    """Return biases `[h]` of a gate that keeps: units that forget over 1 to `longest` steps, evenly; 0: `constant`.

    log(U[1, longest - 1]), Tallec and Ollivier 2018, section 3.
    """
    if not longest:
        return jnp.full(hidden_dim, constant, jnp.float32)
    return jnp.log(jax.random.uniform(key, (hidden_dim,), jnp.float32, minval=1.0, maxval=float(longest - 1)))


def check_chrono(longest: int) -> None:
    """Raise ValueError unless `longest` is 0 or a lag that `chrono_bias` can draw from."""
    if longest < 0 or longest == 1:
        raise ValueError(f"chrono must be a lag of at least 2 steps, or 0 for none, got {longest}")


def named_kernels(
    init: Initializer, key: Key, input_dim: int, widths: Mapping[str, tuple[int, int]]
) -> dict[str, Array]:
    """Draw the kernels `kernel_<name> [d, blocks * width]` of (blocks, width) by name, each block on its own."""
    keys = jax.random.split(key, len(widths))
    drawn = zip(keys, widths.items(), strict=True)
    return {f"kernel_{name}": gate_kernel(init, k, input_dim, width, n) for k, (name, (n, width)) in drawn}


def check_min_eigenvalue(min_eigenvalue: float) -> None:
    """Raise ValueError unless the lower end of a range of eigenvalues up to 1 is one of a stable cell."""
    if not -1 <= min_eigenvalue < 1:
        raise ValueError(f"min_eigenvalue must be at least -1 and below 1, got {min_eigenvalue}")


INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "gaussian": gaussian,
    "glorot": glorot,
    "identity": identity,
    "lecun": lecun,
    "normal": normal,
    "orthogonal": orthogonal,
    "sparse": sparse,
    "zeros": zeros,
}


def get_initializer(spec: str | Mapping | Initializer) -> Initializer:
    """Return the initialiser that `spec` names.

    Args:
      spec: `"orthogonal"`, `{"name": "normal", "kwargs": {"stddev": 0.1}}`, `"package.module:factory"`, or the function
        `(key, shape, dtype) -> array` itself.

    Returns:
      The function `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a name or argument is unknown.
    """
    if isinstance(spec, Mapping):
        extra = set(spec) - {"name", "kwargs"}
        if "name" not in spec or extra:
            raise ValueError(f"an initialiser is given by name and kwargs, got {dict(spec)!r}")
        factory = find(INITIALIZERS, spec["name"], "initialiser")
        try:
            return factory(**spec.get("kwargs", {}))
        except TypeError as error:
            raise ValueError(f"initialiser {spec['name']!r}: {error}") from error
    if callable(spec):
        return spec
    return find(INITIALIZERS, spec, "initialiser")()


def gate_params(
    key: Key,
    input_dim: int,
    hidden_dim: int,
    gates: int,
    *,
    kernel_init: Initializer,
    recurrent_init: Initializer,
    learned: tuple[str, ...] = (),
) -> Params:
    """Draw the parameters that gated cells share; biases and learned carries start at 0.

    Args:
      key: a JAX key.
      input_dim: d.
      hidden_dim: h.
      gates: g, the number of gates.
      kernel_init: initialiser of each gate's block of the kernel.
      recurrent_init: initialiser of each gate's block of the recurrent kernel.
      learned: the parts of the carry that start from a parameter.

    Returns:
      `kernel [d, g*h]`, `recurrent_kernel [h, g*h]`, `bias [g*h]`, and `initial_carry.<name> [h]` for `learned` names.
    """
    key_kernel, key_recurrent = jax.random.split(key)
    params = {
        "kernel": gate_kernel(kernel_init, key_kernel, input_dim, hidden_dim, gates),
        "recurrent_kernel": gate_kernel(recurrent_init, key_recurrent, hidden_dim, hidden_dim, gates),
        "bias": jnp.zeros(gates * hidden_dim, jnp.float32),
    }
    carry = {name: jnp.zeros(hidden_dim, jnp.float32) for name in learned}
    return params | ({"initial_carry": carry} if learned else {})


def gate_kernel(init: Initializer, key: Key, rows: int, hidden_dim: int, gates: int) -> Array:
    """Draw `[rows, g*h]`, each gate's block on its own, so that fans and orthogonality are per gate."""
    blocks = [init(k, (rows, hidden_dim), jnp.float32) for k in jax.random.split(key, gates)]
    return jnp.concatenate(blocks, axis=1)
