"""A batch split over devices: parameters on each of them, gradients averaged."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from rnngen.training.sharding import AXIS, mesh_of

_WHOLE, _SPLIT = PartitionSpec(), PartitionSpec(None, AXIS)


def largest_divisor(batch: int, devices: int) -> int:
    """Return the largest number of devices that divides the batch."""
    return next(count for count in range(min(batch, devices), 0, -1) if batch % count == 0)


def split_forward(run: Callable, count: int) -> Callable:
    """Return (params, xs `[t, b, d]`) -> ys `[t, b, h]`, each of `count` devices running its share of b."""
    if count == 1:
        return run
    # Engines with a gradient of their own do not say over which axes it varies.
    return jax.shard_map(run, mesh=mesh_of(count), in_specs=(_WHOLE, _SPLIT), out_specs=_SPLIT, check_vma=False)


def split_gradient(loss: Callable, count: int) -> Callable:
    """Return `jax.value_and_grad` of loss(params, batch), a mean over b, axis 1 of every array of the batch."""
    share = jax.value_and_grad(loss)
    if count == 1:
        return share

    def averaged(params, batch):
        return jax.lax.pmean(share(params, batch), AXIS)

    return jax.shard_map(averaged, mesh=mesh_of(count), in_specs=(_WHOLE, _SPLIT), out_specs=_WHOLE, check_vma=False)


def place(params: Any, batch: Any, count: int) -> tuple[Any, Any]:
    """Move parameters and batch to the devices of the functions above, so that no timed call moves them."""
    if count == 1:
        return jax.device_put((params, batch), jax.devices()[0])
    shardings = [NamedSharding(mesh_of(count), spec) for spec in (_WHOLE, _SPLIT)]
    return jax.device_put(params, shardings[0]), jax.device_put(batch, shardings[1])
