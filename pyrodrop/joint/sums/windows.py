"""Compiled sums of the joint fit: products of the derivatives of droplets where their windows meet.

The columns of a droplet are its height and derivatives in its window; see ``rendering.kernels.columns``. Sums are in
float64, over rows of a window.
"""

import numba
import numpy as np

from pyrodrop.rendering.kernels.windows_loops import BOX_HIGH, BOX_LEFT, BOX_TOP, BOX_WIDE


@numba.njit(cache=True, nogil=True, error_model="numpy")
def clear_unknown(windowed, known):
    """Weigh all pictures of all droplets by pixel; known: (H, W), 0 where the image is not."""
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for j in range(high):
            for i in range(wide):
                weight = known[top + j, left + i]
                if weight == 0.0:
                    for p in range(columns):
                        kept[before[k] * columns + p * wide * high + j * wide + i] = 0.0
                elif weight != 1.0:
                    for p in range(columns):
                        kept[before[k] * columns + p * wide * high + j * wide + i] *= weight


@numba.njit(cache=True, nogil=True, error_model="numpy")
def paint(windowed, amplitude, image):
    """Add the heights times amplitude, shape (C, N), to the image, shape (C, H, W)."""
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for c in range(image.shape[0]):
            for j in range(high):
                base = before[k] * columns + j * wide
                for i in range(wide):
                    image[c, top + j, left + i] += amplitude[c, k] * kept[base + i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def paint_shared(windowed, amplitude, images):
    """Add the derivatives by the shared numbers times amplitude, (N,), to the images, (S, H, W)."""
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for s in range(images.shape[0]):
            for j in range(high):
                base = before[k] * columns + (columns - images.shape[0] + s) * wide * high + j * wide
                for i in range(wide):
                    images[s, top + j, left + i] += amplitude[k] * kept[base + i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project(windowed, images, out):
    """Products of the first P columns with images, shape (K, H, W), into out, shape (N, K, P); in single precision over
    the pixels of a droplet, as its columns are kept.
    """
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        start, area = before[k] * columns, wide * high
        seen = np.empty((images.shape[0], area), np.float32)
        for c in range(images.shape[0]):
            for j in range(high):
                row, into = images[c, top + j, left : left + wide], seen[c, j * wide : (j + 1) * wide]
                for i in range(wide):
                    into[i] = row[i]
        pictures = kept[start : start + out.shape[2] * area].reshape(out.shape[2], area)
        out[k] = np.dot(seen, pictures.T)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def lost_at(x, y, r, before, after, weight, out):
    """Sums of weight (after^2 - before^2), residuals (C, H, W), over each droplet's square of 2 r a side, (N,)."""
    _, height, width = before.shape
    for k in range(x.shape[0]):
        half = max(r[k], 1.0)
        left, right = max(0, round(x[k] - half)), min(width, round(x[k] + half) + 1)
        top, bottom = max(0, round(y[k] - half)), min(height, round(y[k] + half) + 1)
        total = 0.0
        for c in range(before.shape[0]):
            for j in range(top, bottom):
                some, other = before[c, j], after[c, j]
                line = 0.0
                for i in range(left, right):
                    line += other[i] * other[i] - some[i] * some[i]
                total += weight[c] * line
        out[k] = total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def change_in(box, group, before, after, weight, seen, out):
    """Sums of weight (after^2 - before^2), residuals (C, H, W), over the boxes (N, 4) of each group, into out, which
    is given as zeros. group: number of each box's, (N,). seen: false (H, W), which makes a pixel of several boxes
    count once.
    """
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for j in range(top, top + high):
            for i in range(left, left + wide):
                if not seen[j, i]:
                    seen[j, i] = True
                    for c in range(before.shape[0]):
                        out[group[k]] += weight[c] * (after[c, j, i] ** 2 - before[c, j, i] ** 2)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def copy_boxes(box, source, target):
    """Copy the pixels of the boxes (N, 4) from one image (C, H, W) to another."""
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        target[:, top : top + high, left : left + wide] = source[:, top : top + high, left : left + wide]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def meetings(box):
    """Pairs (i, j), i <= j, of droplets whose windows share a pixel, shape (pairs, 2); each with itself too."""
    order = np.argsort(box[:, BOX_LEFT])
    found = [(0, 0) for _ in range(0)]
    for a in range(order.shape[0]):
        i = order[a]
        right = box[i, BOX_LEFT] + box[i, BOX_WIDE]
        bottom = box[i, BOX_TOP] + box[i, BOX_HIGH]
        found.append((i, i))
        for b in range(a + 1, order.shape[0]):
            j = order[b]
            if box[j, BOX_LEFT] >= right:
                break
            low, high = max(box[i, BOX_TOP], box[j, BOX_TOP]), min(bottom, box[j, BOX_TOP] + box[j, BOX_HIGH])
            if high > low and box[j, BOX_WIDE] > 0:
                found.append((min(i, j), max(i, j)))
    made = np.empty((len(found), 2), np.int64)
    for n in range(len(found)):
        made[n, 0], made[n, 1] = found[n]
    return made


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def gram(windowed, pairs, out):
    """Products of the first P columns of each pair where both are, into out, shape (pairs, P, P)."""
    kept, box, before, columns = windowed
    first = out.shape[1]
    for n in range(pairs.shape[0]):
        i, j = pairs[n]
        left, top = max(box[i, 0], box[j, 0]), max(box[i, 1], box[j, 1])
        right = min(box[i, 0] + box[i, 2], box[j, 0] + box[j, 2])
        bottom = min(box[i, 1] + box[i, 3], box[j, 1] + box[j, 3])
        length = right - left
        out[n] = 0.0
        for row in range(top, bottom):
            at_i = before[i] * columns + (row - box[i, 1]) * box[i, 2] + left - box[i, 0]
            at_j = before[j] * columns + (row - box[j, 1]) * box[j, 2] + left - box[j, 0]
            for p in range(first):
                some = kept[at_i + p * box[i, 2] * box[i, 3] : at_i + p * box[i, 2] * box[i, 3] + length]
                for q in range(p if i == j else 0, first):
                    base = at_j + q * box[j, 2] * box[j, 3]
                    total = np.float32(0.0)
                    for m in range(length):
                        total += some[m] * kept[base + m]
                    out[n, p, q] += total
        if i == j:
            for p in range(first):
                for q in range(p):
                    out[n, p, q] = out[n, q, p]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def with_background(windowed, down, along, out):
    """Products of the first P columns with the background's splines, into out, (N, P, points), given as zeros."""
    kept, box, before, columns = windowed
    down, down_first, _ = down
    along, along_first, grid_wide = along
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        if wide == 0:
            continue
        first = down_first[top]
        lines = np.empty((down_first[top + high - 1] + 4 - first, wide))
        for p in range(out.shape[1]):
            # Down first, a row of pixels at a time, and then across what is left: a few rows.
            lines[:] = 0.0
            for j in range(high):
                base = before[k] * columns + p * wide * high + j * wide
                row = kept[base : base + wide]
                for n in range(4):
                    weight, line = down[top + j, n], lines[down_first[top + j] + n - first]
                    for i in range(wide):
                        line[i] += weight * row[i]
            for n in range(lines.shape[0]):
                base = (first + n) * grid_wide
                for i in range(wide):
                    for m in range(4):
                        out[k, p, base + along_first[left + i] + m] += along[left + i, m] * lines[n, i]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def inflation(windowed, weighted, lags, correlation, out):
    """How much larger the variance of each sum of ``project`` is than for even, independent noise.

    For every droplet and each of its first four columns J, into out, shape (N, 4, 3): the sum over lags l of
    correlation[l] sum_z J(z) J(z + l), over sum J^2; sum J^2 e^2 over sum J^2, e the residual over its standard
    deviation, squared in ``weighted``, shape (H, W); and the number of pixels that this second mean is over.
    lags: shape (L, 2), rows and columns, one of each opposite pair.
    """
    kept, box, before, columns = windowed
    for k in range(box.shape[0]):
        left, top, wide, high = box[k]
        for p in range(4):
            base = before[k] * columns + p * wide * high
            squares, fourths, misfit = 0.0, 0.0, 0.0
            for j in range(high):
                for i in range(wide):
                    energy = kept[base + j * wide + i] ** 2
                    squares += energy
                    fourths += energy * energy
                    misfit += energy * weighted[top + j, left + i]
            total = squares
            for n in range(lags.shape[0]):
                dj, di = lags[n]
                both = 0.0
                begin, length = max(0, -di), wide - abs(di)
                for j in range(max(0, -dj), min(high, high - dj)):
                    some = kept[base + j * wide + begin : base + j * wide + begin + length]
                    other = base + (j + dj) * wide + begin + di
                    narrow = np.float32(0.0)
                    for i in range(length):
                        narrow += some[i] * kept[other + i]
                    both += float(narrow)
                total += 2.0 * correlation[n] * both
            out[k, p, 0] = total / squares if squares > 0.0 else 1.0
            out[k, p, 1] = misfit / squares if squares > 0.0 else 1.0
            out[k, p, 2] = squares * squares / fourths if fourths > 0.0 else 1.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def selected_inverse(start, row, value, pivot, diagonal):
    """Entries of the inverse of L diag(pivot) L^T where L is not zero, by Takahashi's recurrence.

    L is unit lower triangular, its columns below the diagonal given by start (n + 1,), row and value with rising
    rows. Fills diagonal, shape (n,), and returns the entries at (row, column), like value.

    Columns J that have the rows R below them in common, a supernode, go together. With X = L_RJ L_JJ^-1,
    Z_RJ = -Z_RR X and Z_JJ = (L_JJ D_J L_JJ^T)^-1 - X^T Z_RJ.
    """
    inverse = np.zeros(row.shape[0])
    last = pivot.shape[0]
    while last > 0:
        first = last - 1
        while (
            first > 0
            and start[first] - start[first - 1] == start[first + 1] - start[first] + 1
            and row[start[first - 1]] == first
        ):
            first -= 1
        wide, rows = last - first, row[start[last - 1] : start[last]]
        within, below = np.eye(wide), np.empty((rows.shape[0], wide))
        for c in range(wide):
            begin, own = start[first + c], wide - 1 - c
            within[c + 1 :, c] = value[begin : begin + own]
            below[:, c] = value[begin + own : start[first + c + 1]]
        around = np.zeros((rows.shape[0], rows.shape[0]))
        for a in range(rows.shape[0]):
            around[a, a], s, end = diagonal[rows[a]], start[rows[a]], start[rows[a] + 1]
            for b in range(a + 1, rows.shape[0]):
                while s < end and row[s] < rows[b]:
                    s += 1
                if s < end and row[s] == rows[b]:
                    around[a, b] = around[b, a] = inverse[s]
        unit = np.linalg.inv(within)
        below = np.dot(below, unit)
        around = -np.dot(around, below)
        within = np.dot(unit.T / pivot[first:last], unit) - np.dot(below.T, around)
        for c in range(wide):
            begin, own = start[first + c], wide - 1 - c
            diagonal[first + c] = within[c, c]
            inverse[begin : begin + own] = within[c + 1 :, c]
            inverse[begin + own : start[first + c + 1]] = around[:, c]
        last = first
    return inverse


@numba.njit(cache=True, nogil=True, error_model="numpy")
def solve_upwards(start, row, value, right):
    """Solve L^T x = right in place, right: (n, K), L as for ``selected_inverse``; some right sides at a time, which
    the processor's cache holds.
    """
    for first in range(0, right.shape[1], 64):
        last = min(first + 64, right.shape[1])
        for j in range(start.shape[0] - 2, -1, -1):
            for m in range(start[j], start[j + 1]):
                i, factor = row[m], value[m]
                for k in range(first, last):
                    right[j, k] -= factor * right[i, k]
