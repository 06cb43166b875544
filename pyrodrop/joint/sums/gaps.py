"""Compiled: what droplets' windows hold of pixels that are not known."""

import numba


@numba.njit(cache=True, nogil=True, error_model="numpy")
def clear_unknown(windowed, known):
    """Set all pictures of all droplets to zero at the pixels that are not known; known: (H, W)."""
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for j in range(high):
            for i in range(wide):
                if not known[top + j, left + i]:
                    for p in range(columns):
                        kept[before[k] * columns + p * wide * high + j * wide + i] = 0.0
