"""The text or file that `sample`, `score` and `inspect` are given."""

from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.config.check import ConfigError

if TYPE_CHECKING:
    from rnngen.generation.generator import Generator


def given_text(option: str, text: str | None, file: str | None, generator: "Generator") -> str | None:
    """Return what `codec.read` takes: text itself where the codec is of text, else the name of a file.

    Raises:
      ConfigError: both are given, or the codec cannot read the file.
    """
    if text is not None and file is not None:
        raise ConfigError(f"give --{option} or a file of it, not both")
    if file is None or generator.codec.show is None:
        return text if file is None else file
    raw = Path(file).expanduser().read_bytes()
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "surrogateescape")  # as a terminal hands it over; a model of bytes reads any
        try:
            generator.codec.read(text)
        except ValueError:
            raise ConfigError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from None
        return text
