"""Of what was recognised those droplets are counted whose centres lie in the image, by all that is known of them."""

import numpy as np
import pytest

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.recognition.recognise import Recognised, recognise
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.contents import MeasuredImage


@pytest.fixture
def recognised() -> tuple[MeasuredImage, Recognised]:
    pixels = simulate(6, (60, 80), seed=2, kind="gray", radius_px=(5.0, 7.0), noise=0.02)[0].channel("gray")
    channels = pixels.double().numpy()[None]
    return MeasuredImage(pixels[None], ("gray",), None), recognise(channels, channels[0], ["gaussian"])


@pytest.mark.parametrize("whose", ["fit", "places"])
def test_a_droplet_is_in_the_image_where_network_and_fit_agree_that_it_is(
    recognised: tuple[MeasuredImage, Recognised], whose: str
) -> None:
    """A joint fit that has slid out of the image takes no droplet with it that the network still sees."""
    image, seen = recognised
    before = len(measurement_of(image, seen, 0, 0.0).candidates)
    first = int(np.argmax(seen.presence))
    (seen.fit if whose == "fit" else seen.places).x[first] = -3.0
    after = len(measurement_of(image, seen, 0, 0.0).candidates)
    assert before - after == (whose == "places")
