"""Droplets that meet as a sparse matrix, and as groups: loops that Numba compiles."""

import numba
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Array = NDArray[np.float64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def columns_of_blocks(
    pairs: Numbers, blocks: Array, scale: Array, least: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], Array]:
    """The columns of a symmetric matrix: where each begins, (n D + 1,), its rows, which rise, and its values.

    pairs: droplets i <= j, (m, 2), each with itself among them. blocks: of the matrix, (m, D, D), rows of i and columns
    of j. scale: what rows and columns are multiplied by, (n D,). least: what stands for 0.
    """
    width = blocks.shape[1]
    n = scale.shape[0] // width
    first = np.zeros(n + 1, np.int64)
    for m in range(pairs.shape[0]):
        first[pairs[m, 0] + 1] += 1
        if pairs[m, 0] != pairs[m, 1]:
            first[pairs[m, 1] + 1] += 1
    first = np.cumsum(first)
    # Whom each meets and by which pair; then once more in the order of whom, which makes those of each rise.
    whom, by = np.empty(first[n], np.int64), np.empty(first[n], np.int64)
    end = first[:-1].copy()
    for m in range(pairs.shape[0]):
        i, j = pairs[m]
        whom[end[i]], by[end[i]] = j, m
        end[i] += 1
        if i != j:
            whom[end[j]], by[end[j]] = i, m
            end[j] += 1
    other, pair = np.empty_like(whom), np.empty_like(by)
    end[:] = first[:-1]
    for i in range(n):
        for k in range(first[i], first[i + 1]):
            j = whom[k]
            other[end[j]], pair[end[j]] = i, by[k]
            end[j] += 1
    start = np.empty(n * width + 1, np.int32)
    row, value = np.empty(first[n] * width * width, np.int32), np.empty(first[n] * width * width)
    at = 0
    for j in range(n):
        for q in range(width):
            start[j * width + q] = at
            for k in range(first[j], first[j + 1]):
                i, m = other[k], pair[k]
                for p in range(width):
                    entry = blocks[m, p, q] if pairs[m, 1] == j else blocks[m, q, p]
                    entry = entry * scale[i * width + p] * scale[j * width + q]
                    row[at], value[at] = i * width + p, entry if entry != 0.0 else least
                    at += 1
    start[n * width] = at
    return start, row, value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def groups_of(pairs: Numbers, n: int) -> NDArray[np.int32]:
    """The number, from 0 on, of the group that each of n droplets is of, (n,): of those that meet, directly or not."""
    head = np.arange(n)
    for m in range(pairs.shape[0]):
        i, j = pairs[m]
        while head[i] != i:
            head[i] = head[head[i]]
            i = head[i]
        while head[j] != j:
            head[j] = head[head[j]]
            j = head[j]
        # The first of a group is its head, so that groups are numbered in the order of their first.
        head[max(i, j)] = min(i, j)
    group, number = np.empty(n, np.int32), 0
    for i in range(n):
        if head[i] == i:
            group[i] = number
            number += 1
        else:
            group[i] = group[head[i]]
    return group
