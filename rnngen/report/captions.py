"""What each figure is called on the page, and what its lines and bands are."""

from typing import NamedTuple


class Caption(NamedTuple):
    """A figure's heading, and one or two sentences on what is drawn."""

    heading: str
    text: str


_RANGE = "Lines are medians over seeds, bands reach from the least to the greatest seed."
CAPTIONS = {
    "learning_curves": Caption(
        "Learning curves",
        "Validation loss against training steps; thin, the loss on train, where it was recorded. Lines are medians "
        "over seeds, bands reach from the least to the greatest seed; dashed: the loss of the best predictor without "
        "memory; crosses: no finite number. Where all curves end close to each other, the start is cut off.",
    ),
    "axis_effects": Caption(
        "Effect of each axis",
        "Test loss against the values of each swept axis: a point a trial, crosses at the top where the loss is no "
        "finite number. The dash is the median over all other settings and seeds, the bar the interquartile range; "
        "a search has points alone.",
    ),
    "gradient_norms": Caption(
        "Gradient flow",
        "Norm of the loss's gradient in the carry against lag, at initialisation and after training. Lines are "
        "medians over seeds of the median over examples, bands reach from the least to the greatest seed; crosses: "
        "no finite number.",
    ),
    "carry_norms": Caption("Norm of the carry", f"Norm of the carry, and of its difference from the last. {_RANGE}"),
    "success_rates": Caption(
        "Success",
        "Share of seeds that solved the task, bars: Wilson's 95 % interval. Open markers: some runs met their cap on "
        "updates and might have gone on to solve it.",
    ),
    "losses": Caption(
        "Test loss",
        "A point a seed, lines through the medians; dashed: the loss of the best predictor without memory.",
    ),
    "horizons": Caption(
        "Memory horizon and success",
        "Left, the half-life of the gradient: open circles before training, full ones after it (medians), lines from "
        "the least to the greatest seed; triangles: beyond the axis. Right, the share of seeds that solved the task "
        "with Wilson's 95 % interval.",
    ),
    "length_generalisation": Caption("Other lengths", f"Accuracy at other lengths than that trained on. {_RANGE}"),
    "sizes": Caption(
        "Hidden size",
        "Loss on train and on valid at the end against the hidden size: means over folds and seeds, bands from the "
        "least to the greatest. Ringed: the size with the least mean loss on valid; dotted, where it is in sight: the "
        "loss of the best predictor without memory.",
    ),
    "inspect_units": Caption(
        "Units that tell a property of the input",
        "Blue, the unit's activation along the first example; grey, the property that it goes with best.",
    ),
    "inspect_connectivity": Caption(
        "What each prediction hangs on",
        "Norm of the gradient of the loss at one step in the input of another, as a share of the largest in its row: "
        "the higher or darker, the more the prediction hangs on it.",
    ),
    "inspect_gates": Caption(
        "How long gates are open and shut",
        "A point a unit: the shares of steps that it spends with the gate open (above 0.9) and shut (below 0.1).",
    ),
    "inspect_eigenvalues": Caption(
        "Eigenvalues",
        "Of the recurrent kernel's block of each gate, and of the Jacobian of single steps of this input, with the "
        "unit circle: inside it a direction decays, outside it grows.",
    ),
    "inspect_flow": Caption(
        "Gradient flow on this input",
        "Norm of the loss's gradient in the carry against lag, from several steps with a loss: medians over examples "
        "and sources, bands from 10 to 90 %.",
    ),
    "inspect_fixed_points": Caption(
        "Fixed points and slow points",
        "Left, the carry along several examples in the plane of its two largest variances, with the points where it "
        "rests (circles) or lingers (diamonds) under the mean input: full where every direction decays, open where "
        "some grow. Right, the eigenvalues of the linearisation there.",
    ),
    "lyapunov_spectra": Caption("Lyapunov exponents", f"Exponents in order, before and after training. {_RANGE}"),
    "jacobian_conditions": Caption(
        "Conditioning of the long-term Jacobian",
        f"Condition number of the Jacobian between two steps of the carry against their lag. {_RANGE}",
    ),
    "recurrent_eigenvalues": Caption(
        "Eigenvalues of the step",
        "Eigenvalues of the Jacobian of one step in the complex plane, of each cell's first trial at the middle one "
        "of the recorded steps; grey: the unit circle.",
    ),
    "gate_statistics": Caption(
        "Gates",
        "Shares of time that a unit's gate is shut and open, after training: a point a unit. On the grey line a gate "
        "is always one or the other.",
    ),
}


def caption(name: str) -> Caption:
    """The caption of a figure; one that has none yet is called by its name."""
    return CAPTIONS.get(name, Caption(name.replace("_", " ").capitalize(), ""))
