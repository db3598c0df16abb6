"""`rnngen train` by another name."""

import sys

from rnngen.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
