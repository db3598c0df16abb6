"""Twenty questions of a stranger: what one types into the search of the docs, and the page that answers.

Written before the search was tried. Half are words, half are sentences.
"""

QUESTIONS = {
    "how do I resume": "how_to/resume",
    "continue training for more steps": "how_to/train_longer",
    "variable length sequences mask": "how_to/masks",
    "change the optimizer": "how_to/change_the_optimiser",
    "plot only the LSTM": "how_to/figures",
    "load weights from pytorch": "how_to/torch_weights",
    "train on my own csv": "how_to/own_arrays",
    "forecast a time series": "how_to/own_series",
    "how do I add my own cell": "how_to/add_a_cell",
    "custom loss function": "how_to/add_a_head",
    "loss is nan": "how_to/diverged",
    "run on slurm": "how_to/cluster_slurm",
    "multi gpu": "how_to/gpu",
    "early stopping": "how_to/stop_early",
    "wandb": "how_to/trackers",
    "hyperparameter search": "how_to/search",
    "add more seeds to a sweep": "how_to/extend_a_sweep",
    "load a trained model and predict": "how_to/restore_and_predict",
    "what is the half-life": "concepts/horizon",
    "out of memory long sequences": "how_to/speed_and_memory",
}
