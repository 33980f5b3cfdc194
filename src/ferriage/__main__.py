"""`python -m ferriage` is the `ferriage` command."""

import sys

from ferriage.cli import main

if __name__ == "__main__":
    sys.exit(main())
