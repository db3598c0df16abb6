"""Sound in WAV files: plain PCM in, 16 bit out."""

import wave
from os import PathLike

import numpy as np

Path = str | PathLike[str]


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """(samples float32 `[n]` in [-1, 1], samples a second) of a file of 8, 16, 24 or 32 bit; channels are averaged.

    Raises ValueError naming the file where it is not such a file, or holds no samples.
    """
    try:
        with open(path, "rb") as raw, wave.open(raw) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (wave.Error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path} is not a PCM wav file: {str(error) or 'it ends too early'}") from error
    if width > 4:
        raise ValueError(f"{path} has {8 * width} bits a sample, and 8, 16, 24 and 32 are read")
    frames = len(data) // (width * channels)  # a file cut short may end within one
    if not frames:
        raise ValueError(f"{path} holds no samples")
    samples = _decode(data[: frames * width * channels], width).reshape(frames, channels)
    return samples.mean(axis=1).astype(np.float32), rate


def write_wav(samples: np.ndarray, path: Path, rate: int) -> None:
    """Write samples `[n]` in [-1, 1] as 16 bit mono, clipping what is beyond.

    What was read from a 16 bit mono file is written unchanged. Raises ValueError where there are no samples, they have
    another shape or are not finite, or the rate is not a positive whole number.
    """
    if not isinstance(rate, int) or rate < 1:
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


def _decode(data: bytes, width: int) -> np.ndarray:
    """float64 `[n]` in [-1, 1) from little-endian samples of `width` bytes."""
    raw = np.frombuffer(data, np.uint8).reshape(-1, width)
    padded = np.zeros((len(raw), 4), np.uint8)
    padded[:, 4 - width :] = raw ^ 0x80 if width == 1 else raw  # 8 bits alone are unsigned
    return padded.view("<i4")[:, 0] / 2.0**31
