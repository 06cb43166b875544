"""Memory of a large image in tiles is that of a tile and of the droplets, however large the image is."""

from fresh_python import run_python

# An image that is nowhere: the same patch of noise and two droplets over and over, made as it is asked for. Prints the
# most memory that the process held before and after measuring it, in MB, and the number of droplets it found.
MEASURED = """
import resource, sys, tempfile
import numpy as np
import pandas as pd

SIDE, PATCH = int(sys.argv[1]), 480
rows, columns = np.ogrid[:PATCH, :PATCH]
patch = 0.2 + 0.01 * np.random.default_rng(0).standard_normal((PATCH, PATCH))
for x, y, r in ((120, 200, 6.0), (370, 310, 9.0)):
    patch += 0.4 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * r**2))
patch = (255 * patch.clip(0, 1)).round().astype(np.uint8)


class Endless:
    shape, dtype = (SIDE, SIDE), np.dtype(np.uint8)

    def __getitem__(self, box):
        rows, columns = (np.arange(part.start, part.stop) % PATCH for part in box)
        return patch[np.ix_(rows, columns)]


def most_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


from pyrodrop.workflows.tiles.measure_tiles import measure_tiles

with tempfile.TemporaryDirectory() as out:
    before = most_mb()
    measure_tiles(Endless(), out, tile_px=PATCH, halo_px=8, profile="gaussian", progress=False)
    # Not the count: a hundred droplets of which each is there with 97 % are counted as 97.
    print(before, most_mb(), (pd.read_csv(f"{out}/candidates.csv")["presence"] > 0.5).sum())
"""


def measured(side: int) -> tuple[float, int]:
    """MB that measuring an image of so many px a side took, and the number of its droplets."""
    done = run_python("-c", MEASURED, str(side))
    assert done.returncode == 0, done.stderr
    before, after, droplets = map(float, done.stdout.split())
    return after - before, int(droplets)


def test_memory_is_that_of_a_tile_however_large_the_image_is() -> None:
    """Five times the pixels. The larger image alone would take 90 MB as double-precision numbers."""
    small, few = measured(3 * 480)
    large, many = measured(7 * 480)
    assert (few, many) == (2 * 3**2, 2 * 7**2)
    assert large - small < 85
