"""Real data, split and scaled."""

from rnngen.data.corpus import Corpus
from rnngen.data.digits import load_digits
from rnngen.data.folds import fold_of
from rnngen.data.mnist import Images, load_binarised_mnist, load_mnist
from rnngen.data.music import load_music
from rnngen.data.names import load_names
from rnngen.data.speech import load_speech
from rnngen.data.strokes import load_strokes
from rnngen.data.text import load_text
from rnngen.data.trajectories import load_trajectories

__all__ = [
    "Corpus",
    "Images",
    "fold_of",
    "load_binarised_mnist",
    "load_digits",
    "load_mnist",
    "load_music",
    "load_names",
    "load_speech",
    "load_strokes",
    "load_text",
    "load_trajectories",
]
