"""``python -m pyrodrop.cli``."""

from pyrodrop.cli import run

if __name__ == "__main__":
    run()
