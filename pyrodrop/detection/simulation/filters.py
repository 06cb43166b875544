"""Compiled filters for small pictures, where a library's fixed cost would be most of the time."""

import math

import numba
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def blurred(image, sigma):
    """The image under a Gaussian of sigma px, mirrored at its borders; shape (h, w), float32."""
    if sigma < 0.15:
        return image.copy()
    h, w = image.shape
    half = min(int(3.2 * sigma + 1), min(h, w) - 1)
    taps = np.empty(2 * half + 1, np.float32)
    total = 0.0
    for k in range(2 * half + 1):
        taps[k] = math.exp(-0.5 * ((k - half) / sigma) ** 2)
        total += taps[k]
    taps /= np.float32(total)
    across = np.zeros((h, w), np.float32)
    line = np.empty(w + 2 * half, np.float32)
    for i in range(h):
        for j in range(w + 2 * half):
            m = j - half
            m = -m - 1 if m < 0 else m
            m = 2 * w - 1 - m if m >= w else m
            line[j] = image[i, m]
        for k in range(2 * half + 1):
            t = taps[k]
            for j in range(w):
                across[i, j] += t * line[j + k]
    out = np.zeros((h, w), np.float32)
    for i in range(h):
        for k in range(2 * half + 1):
            m = i + k - half
            m = -m - 1 if m < 0 else m
            m = 2 * h - 1 - m if m >= h else m
            t = taps[k]
            for j in range(w):
                out[i, j] += t * across[m, j]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sampled(picture, size, x, y, along, across):
    """A square of size px cut from a picture that repeats for ever: a step right is (along, across) in it."""
    h, w = picture.shape
    out = np.empty((size, size), np.float32)
    for i in range(size):
        for j in range(size):
            u, v = x + along * j - across * i, y + across * j + along * i
            x0, y0 = math.floor(u), math.floor(v)
            fx, fy = np.float32(u - x0), np.float32(v - y0)
            i0, j0 = int(y0) % h, int(x0) % w
            i1, j1 = (i0 + 1) % h, (j0 + 1) % w
            above = picture[i0, j0] * (1 - fx) + picture[i0, j1] * fx
            below = picture[i1, j0] * (1 - fx) + picture[i1, j1] * fx
            out[i, j] = above * (1 - fy) + below * fy
    return out
