"""`rnngen sweep` by another name."""

import sys

from rnngen.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
