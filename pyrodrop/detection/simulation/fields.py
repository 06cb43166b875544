"""Random fields with the spectra of tissue, dirt and light, as a bank made once a process."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .filters import sampled

SIDE = 256
EXPONENTS = (0.8, 1.1, 1.4, 1.7, 2.0, 2.3, 2.6)
COPIES = 8
Picture = NDArray[np.float32]


@lru_cache(maxsize=1)
def bank() -> NDArray[np.float32]:
    """Periodic Gaussian fields of spectrum f^-2a for each exponent a, shape (exponents, copies, 256, 256).

    Of mean 0 and standard deviation 1; always the same. Half of the copies are ridged, which makes fibres and walls
    of them: minus the absolute value; a quarter are embossed: differences along a diagonal.
    """
    rng = np.random.default_rng(20240229)
    u = np.fft.fftfreq(SIDE)[:, None]
    v = np.fft.rfftfreq(SIDE)[None, :]
    f = np.hypot(u, v)
    f[0, 0] = 1.0
    fields = np.empty((len(EXPONENTS), COPIES, SIDE, SIDE), np.float32)
    for a, exponent in enumerate(EXPONENTS):
        for copy in range(COPIES):
            spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * f**-exponent
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
