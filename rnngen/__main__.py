"""`python -m rnngen`: the command line."""

import sys

from rnngen.cli.main import main

sys.exit(main())
