"""What a notebook shows of a micrograph: a small picture, and what is known of it."""

import base64
from html import escape
from io import BytesIO

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image

_LONGEST = 480


def picture_html(pixels: Float32[NDArray[np.float32], "h w c"], known: list[str]) -> str:
    """An image as HTML that needs nothing from outside and runs nothing.

    Args:
        pixels: (H, W, 3) in [0, 1] in its own colours, or (H, W, C), of which the first channel is shown, from its
            darkest to its brightest.
        known: words that stand below it.
    """
    if pixels.shape[-1] == 3:
        levels = np.clip(pixels, 0, 1)
    else:
        levels = pixels[..., 0] - pixels[..., 0].min()
        levels = levels / max(float(levels.max()), 1e-12)
    picture = Image.fromarray(np.round(255 * levels).astype(np.uint8))
    longest = max(picture.size)
    # Small images are enlarged by whole numbers, so that their pixels stay pixels.
    factor = _LONGEST / longest if longest > _LONGEST else _LONGEST // longest
    width, height = (max(1, round(factor * side)) for side in picture.size)
    smooth = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    stream = BytesIO()
    picture.resize((width, height), smooth).save(stream, "PNG")
    words = escape(" · ".join(known))
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<div><img src="data:image/png;base64,{content}" alt="{words}" style="max-width:100%"><p>{words}</p></div>'
