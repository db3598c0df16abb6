"""Media: the kinds of sequences that models make. `MEDIA` is every built-in, by the name that a run folder stores."""

from collections.abc import Callable

from rnngen.media.audio import audio
from rnngen.media.medium import Medium
from rnngen.media.music import music
from rnngen.media.pixels import pixels
from rnngen.media.strokes import strokes
from rnngen.media.text import text
from rnngen.media.text_bytes import text_bytes
from rnngen.media.trajectories import trajectories

MEDIA: dict[str, Callable[..., Medium]] = {
    "audio": audio,
    "bytes": text_bytes,
    "music": music,
    "pixels": pixels,
    "strokes": strokes,
    "text": text,
    "trajectories": trajectories,
}

__all__ = ["MEDIA", "Medium", "audio", "music", "pixels", "strokes", "text", "text_bytes", "trajectories"]
