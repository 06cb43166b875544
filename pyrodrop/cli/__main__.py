"""``python -m pyrodrop.cli``."""

import sys

from pyrodrop.cli import main

if __name__ == "__main__":
    sys.exit(main())
