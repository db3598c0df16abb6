"""Data-parallel training on all local devices: replicated parameters, the batch divided between devices."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rnngen.models import Model
from rnngen.types import Array, Batch, Carry, Key, Params, PyTree

AXIS = "batch"
REPLICATED = PartitionSpec()


def mesh_for(*batch_sizes: int) -> Mesh:
    """Return a mesh of the largest number of local devices that divides every batch; of all with several processes.

    Raises ValueError where the devices of several processes do not divide the batches.
    """
    if jax.process_count() == 1:
        fitting = (n for n in range(1, jax.local_device_count() + 1) if not any(size % n for size in batch_sizes))
        return mesh_of(max(fitting))
    devices = jax.devices()
    if any(size % len(devices) for size in batch_sizes):
        raise ValueError(f"batches of {batch_sizes} do not divide between the {len(devices)} devices of all processes")
    return _mesh(devices)


def mesh_of(count: int) -> Mesh:
    """Return a mesh of the first `count` local devices."""
    return _mesh(jax.local_devices()[:count])


def _mesh(devices: list) -> Mesh:
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Replicate the tree on every device of the mesh."""
    everywhere = NamedSharding(mesh, REPLICATED)
    if mesh.size == len(mesh.local_devices):
        return jax.device_put(tree, everywhere)
    # Only the numbers of keys, not keys, can be put on devices of other processes.
    is_key = jax.tree.map(lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key), tree)
    numbers = jax.tree.map(lambda x, key: jax.random.key_data(x) if key else x, local(tree), is_key)
    wrap = lambda tree: jax.tree.map(lambda x, key: jax.random.wrap_key_data(x) if key else x, tree, is_key)  # noqa: E731
    return jax.jit(wrap, out_shardings=everywhere)(jax.device_get(numbers))


def local(tree: PyTree) -> PyTree:
    """Return this process's copy of arrays that are replicated over all processes."""
    return jax.tree.map(lambda x: x if x.is_fully_addressable else x.addressable_data(0), tree)


def loss_and_gradient(model: Model, mesh: Mesh, objective: Callable | None = None) -> Callable:
    """Return (params, batch, key, step=0, carry=None) -> (gradient of the training loss, sums, carry).

    The result is that of one device with the whole batch, except for rounding and noise: each device draws its own.
    carry: the carry after the streams' previous chunk, through which no gradient flows; None: the streams begin.

    Args:
      objective: (loss, params, batch, step) -> (scalar to minimise, (carry, sums)), where `loss(params)` is the task's
        loss and returns the same; default: `loss` itself.
    """

    def local(params: Params, batch: Batch, carry: Carry, key: Key, step: Array | int):
        # The loss is a mean over weighted steps, and this device may have more or less weight than its share.
        weight = jnp.sum(batch.weights)
        share = weight / jnp.maximum(total(weight, mesh), jnp.finfo(weight.dtype).tiny)

        def loss(params):
            scalar, aux = model.loss(params, batch, carry, key=own_key(key, mesh), train=True)
            return scalar * share * mesh.size, aux

        def whole(params):
            scalar, aux = loss(params) if objective is None else objective(loss, params, batch, step)
            return scalar / mesh.size, aux

        gradient, (last, sums) = jax.grad(whole, has_aux=True)(params)
        return *total((gradient, sums), mesh), last

    shared = over_batch(local, mesh, (REPLICATED, REPLICATED, PartitionSpec(AXIS)))

    def run(params, batch, key, step=0, carry=None):
        return shared(params, batch, carry, key, step)

    return run


def loss_sums(model: Model, mesh: Mesh) -> Callable:
    """Return (params, batch, carry=None) -> (sums of the loss, carry), in evaluation mode."""

    def local(params: Params, batch: Batch, carry: Carry):
        last, sums = model.loss(params, batch, carry)[1]
        return total(sums, mesh), last

    shared = over_batch(local, mesh, (REPLICATED, PartitionSpec(AXIS)))
    return lambda params, batch, carry=None: shared(params, batch, carry)


def per_example(function: Callable[[Params, Batch], PyTree], mesh: Mesh, axis: int) -> Callable:
    """Return function(params, batch) run on all devices; its results have the examples on `axis`."""
    whole = over_batch(lambda params, batch, carry: function(params, batch), mesh, PartitionSpec(*[None] * axis, AXIS))
    return lambda params, batch: whole(params, batch, None)


def over_batch(function: Callable, mesh: Mesh, out: PyTree) -> Callable:
    """Return function(params, batch, carry, ...) run on each device's part of batch `[t, b, ...]`, carry `[b, ...]`."""
    if mesh.size == 1:
        return function

    def run(params, batch, carry, *rest):
        specs = (REPLICATED, PartitionSpec(None, AXIS), PartitionSpec(AXIS), *[REPLICATED] * len(rest))
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)(
            params, batch, carry, *rest
        )

    return run


def total(tree: PyTree, mesh: Mesh) -> PyTree:
    """Add up what the devices that share a batch have."""
    return tree if mesh.size == 1 else jax.lax.psum(tree, AXIS)


def own_key(key: Key, mesh: Mesh) -> Array:
    """Return this device's key."""
    return key if mesh.size == 1 else jax.random.fold_in(key, jax.lax.axis_index(AXIS))
