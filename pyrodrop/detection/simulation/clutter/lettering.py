"""Words and numerals, in fonts that come with Matplotlib, of any size: what the o in them is, is no droplet."""

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZES = (6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 21, 24, 28, 34, 42, 54, 70)
LETTERS = "aabcdeeefghiijklmnnoooopqrrssttuvwxyzABCDEFGHIJKLMNOOPQRSTUVWXYZ000123456789"
PHRASES = ("10 µm", "100 um", "50 µm", "x20", "HV 15.00 kV", "mag 5 000 x", "WD 10.2 mm", "200 nm", "0.5 mm", "Fig. 3b")


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Files of the fonts that have letters."""
    place = find_spec("matplotlib")
    if place is None or not place.submodule_search_locations:
        return ()
    folder = Path(next(iter(place.submodule_search_locations))) / "mpl-data" / "fonts" / "ttf"
    known = ("DejaVu", "STIXGeneral", "cmr", "cmtt")
    return tuple(sorted(str(p) for p in folder.glob("*.ttf") if p.name.startswith(known)))


@lru_cache(maxsize=256)
def font(family: int, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font by the number of its family and its size in px."""
    files = families()
    if not files:
        return ImageFont.load_default(size)
    return ImageFont.truetype(files[family % len(files)], size)


def words(rng: np.random.Generator, n: int) -> str:
    """About n letters in words, or what programs write beside scale bars."""
    if rng.random() < 0.15:
        return " ".join(PHRASES[k] for k in rng.integers(0, len(PHRASES), 1 + n // 8))
    text = [LETTERS[k] for k in rng.integers(0, len(LETTERS), max(n, 1))]
    for k in range(int(rng.integers(2, 6)), len(text), int(rng.integers(4, 8))):
        text[k] = " "
    return "".join(text)


def letters(rng: np.random.Generator, size: int, rows: int | None = None) -> NDArray[np.float32]:
    """A mask from 0 to 1 of text, shape (size, size): a page of it, or so many rows about the middle."""
    height = int(rng.choice(SIZES))
    face = font(int(rng.integers(0, 64)), height)
    pitch = height * rng.uniform(1.0, 1.6)
    n = rows if rows is not None else int(rng.integers(1, 2 + int(size / pitch)))
    image = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(image)
    y = (size - n * pitch) / 2 if rows is not None else rng.uniform(-0.5 * height, max(1.0, size - n * pitch))
    for _ in range(n):
        x = rng.uniform(-0.3, 0.5) * size if n < 3 else -rng.uniform(0, height)
        draw.text((x, y), words(rng, math.ceil(2.2 * (size - x) / height)), fill=255, font=face)
        y += pitch
    if rng.random() < 0.25:
        image = image.rotate(float(rng.choice([90, 270, rng.uniform(-30, 30)])))
    return np.asarray(image, dtype=np.float32) / np.float32(255)
