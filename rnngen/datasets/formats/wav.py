"""Sound in WAV files: uncompressed in, 16 bit out.

SciPy's reader would refuse files cut short, and of a hostile header allocate what it claims, up to an exabyte.
"""

import struct
import wave
from os import PathLike
from pathlib import Path as FilePath

import numpy as np

from rnngen.types import is_whole

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# (format, bytes a sample) -> what is read.
READ = {(PCM, 1): "8", (PCM, 2): "16", (PCM, 3): "24", (PCM, 4): "32", (FLOAT, 4): "32 float", (FLOAT, 8): "64 float"}

Path = str | PathLike[str]


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """(samples float32 `[n]` in [-1, 1], samples a second) of a file of 8, 16, 24 or 32 bit, or of floats.

    Channels are averaged; floats beyond [-1, 1] are clipped. Raises ValueError naming the file where it is not such a
    file, or holds no samples, or one that is not finite.
    """
    try:
        raw = FilePath(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        kind, channels, rate, width, data = _parts(raw)
    except (struct.error, ValueError) as error:
        why = "it ends too early" if isinstance(error, struct.error) else error
        raise ValueError(f"{path} is not an uncompressed wav file: {why}") from error
    if (kind, width) not in READ:
        raise ValueError(f"{path} has {8 * width} bits a sample, and {', '.join(READ.values())} are read")
    frames = len(data) // (width * channels)  # a file cut short may end within one
    if not frames:
        raise ValueError(f"{path} holds no samples")
    samples = _decode(data[: frames * width * channels], kind, width).reshape(frames, channels)
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} has samples that are not finite")
    return samples.clip(-1, 1).mean(axis=1).astype(np.float32), rate


def _parts(raw: bytes) -> tuple[int, int, int, int, bytes]:
    """(format, channels, samples a second, bytes a sample, the samples' bytes) of a RIFF file."""
    start, _, what = struct.unpack_from("<4sI4s", raw)
    if (start, what) != (b"RIFF", b"WAVE"):
        raise ValueError("it does not begin with RIFF and WAVE")
    form, at = b"", 12
    while True:
        name, size = struct.unpack_from("<4sI", raw, at)
        body = raw[at + 8 : at + 8 + size]
        if name == b"data":
            break
        form, at = body if name == b"fmt " else form, at + 8 + size + size % 2
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE:  # the format proper begins a longer identifier
        kind = struct.unpack_from("<H", form, 24)[0]
    if kind not in (PCM, FLOAT):
        raise ValueError(f"its format is {kind}, and {PCM} (PCM) and {FLOAT} (float) are read")
    if not channels or not bits:
        raise ValueError(f"it has {channels} channels of {bits} bits")
    return kind, channels, rate, (bits + 7) // 8, body


def write_wav(samples: np.ndarray, path: Path, rate: int) -> None:
    """Write samples `[n]` in [-1, 1] as 16 bit mono, clipping what is beyond.

    What was read from a 16 bit mono file is written unchanged. Raises ValueError where there are no samples, they have
    another shape or are not finite, or the rate is not a positive whole number.
    """
    if not is_whole(rate) or rate < 1:
        raise ValueError(f"rate must be a positive whole number, got {rate!r}")
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"samples must be [n], at least one, got {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite")
    levels = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    with open(path, "wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(levels.tobytes())


def _decode(data: bytes, kind: int, width: int) -> np.ndarray:
    """float64 `[n]` from little-endian samples of `width` bytes; whole numbers as parts of the largest, in [-1, 1)."""
    if kind == FLOAT:
        return np.frombuffer(data, f"<f{width}").astype(np.float64)
    raw = np.frombuffer(data, np.uint8).reshape(-1, width)
    padded = np.zeros((len(raw), 4), np.uint8)
    padded[:, 4 - width :] = raw ^ 0x80 if width == 1 else raw  # 8 bits alone are unsigned
    return padded.view("<i4")[:, 0] / 2.0**31
