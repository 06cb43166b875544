"""The figure of pictures of droplets."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyrodrop.results.figures.appearance_figures import pictures


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_picture_is_bright_where_it_is_high_and_white_beyond_the_disc(channels: int) -> None:
    drawn = np.full((2, channels, 4, 4), -1.0)
    drawn[:, :, 1, 1], drawn[:, :, 0, 0] = 1.0, np.nan
    axes = Figure().subplots(1, 2)
    pictures(axes, drawn)
    shown = np.asarray(axes[0].images[0].get_array())
    assert shown.shape == (4, 4, 3)
    assert np.allclose(shown[0, 0], 1)
    assert np.allclose(shown[1, 1], 1)
    assert np.allclose(shown[2, 2], 0)
    assert axes[1].get_title() == "picture 2"
