"""A reader of standard MIDI files that skips invalid events."""

import io
import struct
from collections.abc import Iterator

import mido

META, SYSEX = 0xFF, (0xF0, 0xF7)
ONE_BYTE = (0xC0, 0xD0)  # program change and channel pressure; other channel messages have two data bytes


def read_leniently(raw: bytes) -> tuple[mido.MidiFile, int]:
    """Read the file without its invalid events, and their number. All others keep their times.

    Raises EOFError where the file ends too early, and OSError or ValueError where its events cannot be separated.
    """
    file = io.BytesIO(raw)
    kind, count, ticks_per_beat = struct.unpack(">hhh", _bytes(io.BytesIO(_chunk(file, b"MThd")), 6))
    tracks = [_track(io.BytesIO(_chunk(file, b"MTrk"))) for _ in range(count)]
    made = mido.MidiFile(type=kind, ticks_per_beat=ticks_per_beat, tracks=[track for track, _ in tracks])
    return made, sum(invalid for _, invalid in tracks)


def _track(data: io.BytesIO) -> tuple[mido.MidiTrack, int]:
    track, invalid, waited = mido.MidiTrack(), 0, 0
    for ticks, event in _events(data):
        waited += ticks
        try:
            message = mido.MetaMessage.from_bytes(event) if event[0] == META else mido.Message.from_bytes(event)
        except Exception:  # the decoders of meta messages may raise anything
            invalid += 1
        else:
            track.append(message.copy(skip_checks=True, time=waited))
            waited = 0
    return track, invalid


def _events(data: io.BytesIO) -> Iterator[tuple[int, bytes]]:
    """Yield (ticks since the last event, bytes) of each event of a track; system exclusive ones without their data."""
    running = 0
    while data.tell() < len(data.getbuffer()):
        ticks, start = _number(data), data.tell()
        status = _bytes(data, 1)[0]
        if status == META:
            _bytes(data, 1)
            _bytes(data, _number(data))
            yield ticks, data.getvalue()[start : data.tell()]
        elif status in SYSEX:
            _bytes(data, _number(data))
            yield ticks, b"\xf0\xf7"
        else:
            running = status if status >= 0x80 else running
            if not 0x80 <= running < 0xF0:
                raise OSError(f"undefined status byte 0x{status:02x}")
            data.seek(start + (status >= 0x80))
            yield ticks, bytes([running]) + _bytes(data, 1 if running & 0xF0 in ONE_BYTE else 2)


def _chunk(file: io.BytesIO, name: bytes) -> bytes:
    found, size = struct.unpack(">4sL", _bytes(file, 8))
    if found != name:
        raise OSError(f"{name.decode()} not found")
    return _bytes(file, size)


def _bytes(data: io.BytesIO, count: int) -> bytes:
    found = data.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _number(data: io.BytesIO) -> int:
    """Read a variable-length quantity: seven bits per byte, the last byte below 128."""
    number = 0
    while True:
        byte = _bytes(data, 1)[0]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number
