"""Candidates of a large image as a whole, which no part of it can tell: where the network sees droplets.

How the network looks at an image, which way round and in which units of brightness, is taken of the whole image. A part
that looked at itself would be proposed other circles than the whole is.
"""

import numpy as np

from pyrodrop.detection.network.parts import Readable as Readable
from pyrodrop.detection.network.parts import Window as Window
from pyrodrop.detection.network.peaks import Cells as Cells
from pyrodrop.detection.propose_large import Overview as Overview
from pyrodrop.detection.propose_large import look_at_reduced as look_at_reduced
from pyrodrop.detection.propose_large import look_at_window as look_at_window
from pyrodrop.detection.propose_large import overview_of as overview_of
from pyrodrop.detection.propose_large import proposals_of_all
from pyrodrop.detection.propose_large import windows_to_look_at as windows_to_look_at
from pyrodrop.recognition.candidates import Candidates as Candidates
from pyrodrop.recognition.completion import LEAST


def candidates_of_whole(image: Readable, overview: Overview, cells: list[Cells]) -> Candidates:
    """What the network proposes in the whole image, from what it says of all windows and of the reduced image."""
    return Candidates.of_proposals(proposals_of_all(image, overview, cells, LEAST))


def candidates_in_part(candidates: Candidates, rows: slice, columns: slice) -> Candidates:
    """Those whose centres lie in some rows and columns, in px of that part."""
    x, y = candidates.x - columns.start, candidates.y - rows.start
    height, width = rows.stop - rows.start, columns.stop - columns.start
    kept = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return candidates._replace(x=x, y=y).those(np.flatnonzero(kept))
