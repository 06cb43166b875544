"""Images without droplets, of more than fifty kinds, drawn here and by scikit-image: none of them was learnt from.

They are drawn with other means than the simulations that the network learnt from, on purpose.
"""

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Array = NDArray[np.float64]
SIDE = 256
PHOTOGRAPHS = ("brick", "grass", "gravel", "page", "text", "camera", "moon", "clock")


def _noise(rng: np.random.Generator, sd: float = 1.0) -> Array:
    return sd * rng.standard_normal((SIDE, SIDE))


def _spectrum(rng: np.random.Generator, exponent: float) -> Array:
    """A random field whose amplitude falls with frequency to the power -exponent; mean 0, deviation 1."""
    f = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    f[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(_noise(rng)) * f**-exponent, (SIDE, SIDE))
    return (field - field.mean()) / field.std()


def _drawing(draw: Callable[[ImageDraw.ImageDraw], object], blur: float = 0.7) -> Array:
    """A picture drawn in white on black."""
    picture = Image.new("L", (SIDE, SIDE))
    draw(ImageDraw.Draw(picture))
    return ndimage.gaussian_filter(np.asarray(picture, float) / 255, blur)


def _jpeg(image: Array, quality: int) -> Array:
    """An image through a JPEG file of 8 bits."""
    low, high = image.min(), image.max()
    picture = Image.fromarray((255 * (image - low) / max(high - low, 1e-9)).astype(np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), float)


def _lines(rng: np.random.Generator, n: int, width: int) -> Array:
    ends = rng.uniform(-30, SIDE + 30, (n, 4))
    return _drawing(lambda d: [d.line(tuple(e), fill=255, width=width) for e in ends])


def _polygons(rng: np.random.Generator, n: int, corners: int) -> Array:
    shapes = []
    for _ in range(n):
        centre, size = rng.uniform(0, SIDE, 2), rng.uniform(15, 50)
        angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
        stretch = rng.uniform(0.3, 1)
        shapes.append([tuple(centre + size * np.array([np.cos(a), stretch * np.sin(a)])) for a in angle])
    return _drawing(lambda d: [d.polygon(s, fill=int(rng.integers(100, 255))) for s in shapes])


def _letters(rng: np.random.Generator, size: int) -> Array:
    words = ["".join(rng.choice(list("abdeghimnorstuAEGHMRST 0358"), 40)) for _ in range(SIDE // size)]
    return _drawing(
        lambda d: [d.text((4, size * k + 2), w, fill=255, font_size=size * 0.8) for k, w in enumerate(words)], 0.4
    )


def _stripes(period: float, angle: float, square: bool) -> Array:
    yy, xx = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(2 * np.pi * (xx * np.cos(angle) + yy * np.sin(angle)) / period)
    return np.sign(wave) if square else wave


def _checkers(side: int, angle: float) -> Array:
    yy, xx = np.mgrid[:SIDE, :SIDE] + 1000.3
    u, v = xx * np.cos(angle) - yy * np.sin(angle), xx * np.sin(angle) + yy * np.cos(angle)
    return ndimage.gaussian_filter(((u // side + v // side) % 2).astype(float), 0.7)


def _voronoi(rng: np.random.Generator, n: int, walls: bool) -> Array:
    """Grains of a crystal: each of its own brightness, or only the walls between them."""
    points = rng.uniform(0, SIDE, (n, 2))
    yy, xx = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(xx[..., None] - points[:, 0], yy[..., None] - points[:, 1])
    nearest = np.sort(distance, -1)
    if walls:
        return ndimage.gaussian_filter((nearest[..., 1] - nearest[..., 0] < 2).astype(float), 0.7)
    return ndimage.gaussian_filter(rng.uniform(0, 1, n)[distance.argmin(-1)], 0.7)


def _fibres(rng: np.random.Generator, n: int) -> Array:
    paths = []
    for _ in range(n):
        turn = np.cumsum(0.1 * rng.standard_normal(200)) + rng.uniform(0, 2 * np.pi)
        path = rng.uniform(0, SIDE, 2) + 3 * np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1), 0)
        paths.append([tuple(p) for p in path])
    return _drawing(lambda d: [d.line(p, fill=255, width=2) for p in paths])


def _furniture() -> Array:
    def draw(d: ImageDraw.ImageDraw) -> None:
        d.rectangle((150, 228, 230, 234), fill=255)
        d.text((165, 236), "100 um", fill=255, font_size=14)
        d.line((40, 40, 90, 80), fill=255, width=2)
        d.polygon([(90, 80), (80, 79), (86, 71)], fill=255)
        d.rectangle((20, 120, 110, 200), outline=255)

    return _drawing(draw, 0.3)


def drawn_empties(seed: int = 0) -> Iterator[tuple[str, Array]]:
    """Name and image (256, 256) of each kind that is drawn here."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:SIDE, :SIDE] / SIDE
    grain = 0.03
    yield "white noise", _noise(rng)
    yield "Poisson noise, few photons", rng.poisson(3, (SIDE, SIDE)).astype(float)
    yield "Laplace noise", rng.laplace(size=(SIDE, SIDE))
    yield "8 bits, noise of a third of a level", np.rint(100 + _noise(rng, 0.35))
    yield "hot pixels", _noise(rng) + 40 * (rng.random((SIDE, SIDE)) < 0.004)
    yield "rows of a camera", _noise(rng, 0.5) + rng.standard_normal(SIDE)[:, None]
    yield "columns of a camera", _noise(rng, 0.5) + rng.standard_normal(SIDE)
    yield "two gains of a camera", _noise(rng) + 3 * (xx > 0.5)
    for sd in (0.7, 1.0, 2.0, 5.0):
        yield f"noise blurred by {sd} px", ndimage.gaussian_filter(_noise(rng), sd)
    yield "noise enlarged four times", ndimage.zoom(_noise(rng)[:64, :64], 4, order=3)
    yield "noise enlarged, no interpolation", np.kron(_noise(rng)[:64, :64], np.ones((4, 4)))
    for exponent in (0.5, 1.0, 1.5, 2.0, 3.0):
        yield f"texture 1/f^{exponent}", _spectrum(rng, exponent)
    yield "a ramp", 3 * xx + 2 * yy + _noise(rng, grain)
    yield "a ramp without noise", 3 * xx + 2 * yy
    yield "a vignette", -((xx - 0.5) ** 2 + (yy - 0.4) ** 2) + _noise(rng, grain)
    yield "smooth light", _spectrum(rng, 4) + _noise(rng, 0.02)
    yield "an edge", ndimage.gaussian_filter((yy > 0.4 + 0.2 * xx).astype(float), 1) + _noise(rng, grain)
    yield "a corner", ((yy > 0.5) & (xx > 0.3)) + _noise(rng, grain)
    yield "one line", _lines(rng, 1, 2) + _noise(rng, grain)
    yield "ten lines", _lines(rng, 10, 3) + _noise(rng, grain)
    yield "a hundred scratches", _lines(rng, 100, 1) + _noise(rng, grain)
    yield "walls of a channel", ((np.abs(yy - 0.3) < 0.01) | (np.abs(yy - 0.6) < 0.01)) + _noise(rng, grain)
    yield "fibres", _fibres(rng, 12) + _noise(rng, grain)
    yield "many fibres", _fibres(rng, 60) + _noise(rng, grain)
    for period, square in ((4.0, False), (9.0, False), (17.0, True), (40.0, True)):
        yield f"stripes of {period:.0f} px", _stripes(period, 0.4, square) + _noise(rng, 0.1)
    yield "a lattice of waves", _stripes(11, 0.2, False) * _stripes(11, 0.2 + np.pi / 2, False) + _noise(rng, 0.1)
    yield "moire", _stripes(7.0, 0.1, False) + _stripes(7.4, 0.13, False) + _noise(rng, 0.1)
    yield "a square grid", np.maximum(_stripes(24, 0, False), _stripes(24, np.pi / 2, False)) > 0.97
    for side in (5, 12, 30):
        yield f"checkers of {side} px", _checkers(side, 0.0) + _noise(rng, grain)
    yield "checkers turned", _checkers(16, 0.5) + _noise(rng, grain)
    yield "triangles", _polygons(rng, 12, 3) + _noise(rng, grain)
    yield "crystals of four sides", _polygons(rng, 15, 4) + _noise(rng, grain)
    yield "rods", _polygons(rng, 20, 4) * 0.5 + _lines(rng, 12, 8) + _noise(rng, grain)
    yield "grains", _voronoi(rng, 60, False) + _noise(rng, grain)
    yield "walls between grains", _voronoi(rng, 40, True) + _noise(rng, grain)
    yield "cracks", _voronoi(rng, 12, True) + 0.3 * _spectrum(rng, 1.5)
    yield "small letters", _letters(rng, 12) + _noise(rng, grain)
    yield "letters", _letters(rng, 24) + _noise(rng, grain)
    yield "large letters", _letters(rng, 60) + _noise(rng, grain)
    yield "scale bar, arrow and box", _furniture() + _noise(rng, grain)
    yield "blank JPEG, quality 75", _jpeg(100 + _noise(rng, 2) + 20 * xx, 75)
    yield "blank JPEG, quality 30", _jpeg(100 + _noise(rng, 2) + 20 * xx, 30)
    yield "texture as JPEG, quality 40", _jpeg(_spectrum(rng, 1.5), 40)
    yield "a shadow", ndimage.gaussian_filter((np.hypot(xx - 0.1, yy) < 0.7).astype(float), 20) + _noise(rng, grain)
    yield "black", np.zeros((SIDE, SIDE))


def photographs() -> Iterator[tuple[str, Array]]:
    """Name and gray image of scikit-image's photographs without droplets; those that are not at hand are left out."""
    from skimage import color, data

    for name in PHOTOGRAPHS:
        try:
            picture = np.asarray(getattr(data, name)())
        except Exception:
            continue
        yield f"photograph: {name}", color.rgb2gray(picture) if picture.ndim == 3 else picture.astype(float)
