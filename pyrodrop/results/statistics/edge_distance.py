"""How far a droplet's centre lies from the edge of what was looked at, which tells whether the edge cuts its circle."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


def edge_distance(
    x: Float[ndarray, "*n"], y: Float[ndarray, "*n"], size: tuple[int, int], looked_at: Bool[ndarray, "h w"] | None
) -> Float[ndarray, "*n"]:
    """Distances in px from centres to that of the last pixel before the edge; a circle of a larger radius is cut.

    Args:
        x, y: centres in px, of any shape; where they lie beyond the image, the distance is negative.
        size: height and width (H, W) of the image in px.
        looked_at: pixels that were looked at, (H, W); None for all.
    """
    height, width = size
    to_border = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
    if looked_at is None or looked_at.all():
        return np.asarray(to_border)
    from scipy.ndimage import map_coordinates

    to_others = map_coordinates(_to_others(looked_at), [y, x], order=1, mode="nearest")
    return np.asarray(np.minimum(to_border, to_others))


def room_of(
    diameter: Float[ndarray, "*n"], size: tuple[int, int], looked_at: Bool[ndarray, "h w"] | None
) -> Float[ndarray, "*n"]:
    """Share of the area that was looked at in which a centre may lie so that the edge does not cut the circle.

    Without a mask it is (1 - d / W) (1 - d / H).

    Args:
        diameter: of the circles in px, of any shape.
        size, looked_at: as for ``edge_distance``.
    """
    if looked_at is None or looked_at.all():
        height, width = size
        return np.asarray(np.maximum(1 - diameter / width, 0.0) * np.maximum(1 - diameter / height, 0.0))
    rows, columns = (each.astype(np.float64) for each in np.nonzero(looked_at))
    far = np.sort(edge_distance(columns, rows, size, looked_at))
    # Of a pixel at the edge the centre is half a pixel within.
    return np.asarray(1 - np.searchsorted(far, diameter / 2 - 0.5) / len(far))


def _to_others(looked_at: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Distance of each pixel to the last one before the nearest that was not looked at, px."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(looked_at)) - 1
