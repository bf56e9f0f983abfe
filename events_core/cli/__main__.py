"""`python -m events_core.cli` is the `events` command."""

import sys

from events_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
