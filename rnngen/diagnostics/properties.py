"""Properties of each step of an input that a person could name, to compare units with: see `selectivity`."""

import numpy as np

BRACKETS = {
    "parentheses": ("(", ")"),
    "square brackets": ("[", "]"),
    "braces": ("{", "}"),
    "angle brackets": ("<", ">"),
}
MOST = 16  # symbols or features of an input that are examined


def text_properties(text: str) -> dict[str, np.ndarray]:
    """Return properties of each character `[t]`: its position in line and word, the brackets or quotes around it."""
    characters = np.array(list(text))
    found = {
        "position in the line": _since(characters == "\n"),
        "position in the word": _since(~np.char.isalnum(characters)),
        "inside double quotes": np.cumsum(characters == '"') % 2 == 1,
        "capital letter": np.char.isupper(characters),
        "end of a line": characters == "\n",
        "space": characters == " ",
    }
    for name, (opening, closing) in BRACKETS.items():
        found[f"inside {name}"] = _depth(characters == opening, characters == closing) > 0
    return found


def _since(event: np.ndarray) -> np.ndarray:
    """Count steps since the last event `[t]`; 0 at an event."""
    steps = np.arange(len(event))
    return steps - np.maximum.accumulate(np.where(event, steps, -1))


def _depth(opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
    """Count the open brackets at each step; a closing one without a partner is ignored."""
    depth, counted = 0, []
    for opening, closing in zip(opens, closes, strict=True):
        depth = max(depth + int(opening) - int(closing), 0)
        counted.append(depth)
    return np.array(counted, int)


def input_properties(inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return properties of inputs `[t, d]` or tokens `[t]`: the first few features or symbols, and the step."""
    found: dict[str, np.ndarray] = {"step": np.arange(len(inputs))}
    if inputs.ndim == 1:
        for symbol in np.unique(inputs)[:MOST]:
            found[f"symbol {symbol}"] = inputs == symbol
            found[f"steps since symbol {symbol}"] = _since(inputs == symbol)
        return found
    for number in range(min(inputs.shape[1], MOST)):
        values = inputs[:, number]
        two = len(np.unique(values)) == 2
        found[f"input {number}"] = values == values.max() if two else values
        if two:
            found[f"steps since input {number}"] = _since(values == values.max())
            found[f"input {number} was on before"] = np.cumsum(values == values.max()) > 0
    return found
