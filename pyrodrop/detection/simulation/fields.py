"""Random fields with the spectra of tissue, dirt, light and speckle, as a bank made once a process."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .filters import sampled

SIDE = 256
EXPONENTS = (0.8, 1.1, 1.4, 1.7, 2.0, 2.3, 2.6)
WIDTH = 0.06  # cycles per px, of the spectra that are no power laws
COPIES = 8
SPECKLED = (len(EXPONENTS), len(EXPONENTS) + 1)  # numbers of the two fields that have a scale
Picture = NDArray[np.float32]


@lru_cache(maxsize=1)
def bank() -> NDArray[np.float32]:
    """Periodic Gaussian fields of spectrum f^-2a for each exponent a, shape (exponents + 2, copies, 256, 256).

    Of mean 0 and standard deviation 1; always the same. Half of the copies are ridged, which makes fibres and walls
    of them: minus the absolute value; a quarter are embossed: differences along a diagonal. The last two have no power
    law but a scale: noise after a blur, of spectrum exp(-(f / w)^2), and speckle, (f / w)^4 exp(-2 (f / w)^2), both
    of many bumps that are as round as droplets and as often dark as bright.
    """
    rng = np.random.default_rng(20240229)
    u = np.fft.fftfreq(SIDE)[:, None]
    v = np.fft.rfftfreq(SIDE)[None, :]
    f = np.hypot(u, v)
    f[0, 0] = 1.0
    scaled = (f / WIDTH) ** 2
    filters = [*(f**-exponent for exponent in EXPONENTS), np.exp(-scaled / 2), scaled * np.exp(-scaled)]
    fields = np.empty((len(filters), COPIES, SIDE, SIDE), np.float32)
    for a, amplitude in enumerate(filters):
        for copy in range(COPIES):
            spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * amplitude
            spectrum[0, 0] = 0
            field = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
            if copy % 2:
                field = -np.abs(field)
            if copy % 4 == 2:
                field = field - np.roll(field, (2, 2), (0, 1))
            fields[a, copy] = (field - field.mean()) / field.std()
    return fields


def texture(rng: np.random.Generator, size: int, zoom: float = 1.0, exponent: int | None = None) -> Picture:
    """A piece of a field, turned and magnified zoom times, of mean 0 and standard deviation about 1."""
    fields = bank()
    kind = int(rng.integers(len(fields))) if exponent is None else exponent
    x, y = rng.uniform(0, SIDE, 2)
    angle = rng.uniform(0, 2 * np.pi)
    step = 1 / zoom
    return sampled(fields[kind, rng.integers(COPIES)], size, x, y, step * np.cos(angle), step * np.sin(angle))
