"""Data sets of real sequences, one file each, with loader, codec and task; and data of one's own.

`DATASETS` lists all tasks on real data by their name in a config, `CODECS` all codecs and `INTERFACES` all interfaces
by their name in a run folder, and `TASKS` all tasks, synthetic or real.
"""

from collections.abc import Callable

from rnngen.datasets import (
    arrays,
    digits,
    image_codec,
    mnist,
    music,
    names,
    series,
    speech,
    strokes,
    supervised,
    text,
    trajectories,
)
from rnngen.datasets.codec import Codec
from rnngen.datasets.interface import SIZES_ALONE, Interface, outputs_interface
from rnngen.tasks import TASKS as SYNTHETIC
from rnngen.tasks import Task

DATASETS: dict[str, Callable[..., Task]] = {
    "arrays": arrays.arrays,
    "binarised_mnist": mnist.binarised_mnist,
    "digits": digits.digits,
    "mnist": mnist.mnist,
    "music": music.music,
    "names": names.names,
    "series": series.series,
    "speech": speech.speech,
    "strokes": strokes.strokes,
    "text": text.text,
    "trajectories": trajectories.trajectories,
}
CODECS: dict[str, Callable[..., Codec]] = {
    "audio": speech.audio_codec,
    "bytes": text.byte_codec,
    "music": music.music_codec,
    "pixels": image_codec.pixel_codec,
    "series": series.series_codec,
    "strokes": strokes.stroke_codec,
    "text": text.text_codec,
    "trajectories": trajectories.trajectory_codec,
}
INTERFACES: dict[str, Callable[..., Interface]] = {
    SIZES_ALONE: outputs_interface,
    "series": series.series_interface,
    "supervised": supervised.supervised,
}
TASKS: dict[str, Callable[..., Task]] = dict(sorted((SYNTHETIC | DATASETS).items()))

__all__ = ["CODECS", "DATASETS", "INTERFACES", "TASKS", "Codec", "Interface"]
