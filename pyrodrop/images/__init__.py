"""Files to channels: reading micrographs, taking their colour channels, and making images of a known truth.

What may enter: what turns a file or an array into pixels, or makes an image. Nothing here knows of fits.

``pyrodrop.images.simulation.simulate`` is imported on its own: it brings Pyro along, which reading does not need.
"""

from pyrodrop.images.channels.array_channel import as_channel
from pyrodrop.images.channels.colours import CHANNELS
from pyrodrop.images.errors import ImageError
from pyrodrop.images.micrograph import Micrograph, read_image, write_png

__all__ = ["CHANNELS", "ImageError", "Micrograph", "as_channel", "read_image", "write_png"]
