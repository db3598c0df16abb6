"""`python -m rnngen`: the command line."""

import sys

from rnngen.cli import main

sys.exit(main())
