"""Gaussian droplets on a GPU, in Triton: lists of droplets, tiles of the image, sums over droplets' boxes.

Importing this imports Triton; ``tiles`` has the operators around it.

They have run under Triton's interpreter on the CPU only, and been compiled for a GPU, but NOT YET RUN ON one: the
sizes of tiles and the numbers of warps are reasoned, not measured.

A droplet's support is CUT radii from its centre along x and along y; beyond, it is not drawn. All three kernels
gather: each output is summed by one program in a fixed order, so the same input gives the same bits.

1. ``list_bands``: for each band of BAND rows, the indices of the droplets that reach it, ascending. A list has
   room for all N, so none can be dropped and no length travels to the host: shapes are static, and the whole can
   be captured in a CUDA graph (after one call that compiles). It costs 4 N bytes a band.
2. ``draw_tiles``: a warp draws ROWS x COLUMNS pixels. It tests its band's list 32 droplets at a time and draws
   those that touch its tile. Lists of each tile would take N entries a tile, or a length known to the host.
3. ``gather_gradients``: a warp sums a gradient image over the box of one droplet. Summing by tiles instead, one
   partial sum for each pair of tile and droplet, would again take room for all pairs. The rows of a box are
   dealt to STRIPS warps, so that one droplet as broad as the image does not keep all others waiting.
"""

from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

# Triton's decorator is untyped; a kernel is called as kernel[grid](...), which no type would describe anyway.
_jit: Callable[[Callable[..., None]], Any] = triton.jit


@_jit
def list_bands(
    x: tl.tensor, y: tl.tensor, r: tl.tensor, listed: tl.tensor, counts: tl.tensor,
    height: tl.tensor, width: tl.tensor, droplets: tl.tensor,
    CUT: tl.constexpr, BAND: tl.constexpr, CHUNK: tl.constexpr,
) -> None:  # fmt: skip
    """Write the ascending indices of the droplets that reach one band of one image, and how many they are."""
    program = tl.program_id(0)
    bands = tl.cdiv(height, BAND)
    first = (program // bands).to(tl.int64) * droplets
    top = (program % bands) * BAND
    count = 0
    for start in range(0, droplets, CHUNK):
        droplet = start + tl.arange(0, CHUNK)
        there = droplet < droplets
        cx = tl.load(x + first + droplet, mask=there, other=0.0)
        cy = tl.load(y + first + droplet, mask=there, other=0.0)
        # A pixel of margin, here and for the tiles, so that rounding never decides: the pixels' mask does.
        # And asked the negative way, so that not-a-number counts as a hit and is seen in the image.
        reach = tl.abs(tl.load(r + first + droplet, mask=there, other=0.0)) * CUT + 1.0
        missed = (cy + reach < top) | (cy - reach > top + (BAND - 1)) | (cx + reach < 0)
        missed = missed | (cx - reach > width - 1)
        hit = tl.where(there & (missed == 0), 1, 0)
        place = program.to(tl.int64) * droplets + count + tl.cumsum(hit, 0) - 1
        tl.store(listed + place, droplet, mask=hit == 1)
        count += tl.sum(hit, 0)
    tl.store(counts + program, count)


@_jit
def draw_tiles(
    x: tl.tensor, y: tl.tensor, r: tl.tensor, amplitude: tl.tensor, bg: tl.tensor, channel: tl.tensor,
    listed: tl.tensor, counts: tl.tensor, image: tl.tensor, sums: tl.tensor,
    height: tl.tensor, width: tl.tensor, droplets: tl.tensor, channel_stride: tl.tensor,
    CUT: tl.constexpr, BAND: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, RESIDUAL: tl.constexpr,
) -> None:  # fmt: skip
    """Draw one tile of one image; with RESIDUAL, less the channel, and sum its half squares and itself."""
    program = tl.program_id(0)
    across = tl.cdiv(width, COLUMNS)
    tiles = across * tl.cdiv(height, ROWS)
    batch = program // tiles
    top = (program % tiles) // across * ROWS
    left = (program % tiles) % across * COLUMNS
    row = top + tl.arange(0, ROWS)
    column = left + tl.arange(0, COLUMNS)
    band = batch * tl.cdiv(height, BAND) + top // BAND
    here = listed + band.to(tl.int64) * droplets
    count = tl.load(counts + band)
    first = batch.to(tl.int64) * droplets
    lane = tl.arange(0, 32)
    background = tl.load(bg + batch)
    drawn = tl.zeros((ROWS, COLUMNS), background.dtype)
    for start in range(0, count, 32):
        there = start + lane < count
        droplet = first + tl.load(here + start + lane, mask=there, other=0)
        cx = tl.load(x + droplet, mask=there, other=0.0)
        cy = tl.load(y + droplet, mask=there, other=0.0)
        reach = tl.abs(tl.load(r + droplet, mask=there, other=0.0)) * CUT + 1.0
        missed = (cy + reach < top) | (cy - reach > top + (ROWS - 1)) | (cx + reach < left)
        missed = missed | (cx - reach > left + (COLUMNS - 1))
        hit = tl.where(there & (missed == 0), 1, 0).to(tl.int64)
        # The hits as bits of one number: the warp then walks over them alone, without a list in memory.
        bits = tl.sum(hit << lane, 0)
        while bits != 0:
            lowest = bits & -bits
            place = (lowest.to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127  # a float's exponent: log2
            one = first + tl.load(here + start + place)
            radius = tl.load(r + one)
            limit = tl.abs(radius) * CUT
            inverse = 1.0 / radius
            dx = tl.load(x + one) - column
            dy = tl.load(y + one) - row
            u = dx * inverse
            v = dy * inverse
            ex = tl.where(tl.abs(dx) > limit, 0.0, tl.exp(-0.5 * u * u))
            ey = tl.where(tl.abs(dy) > limit, 0.0, tl.exp(-0.5 * v * v)) * tl.load(amplitude + one)
            drawn += ey[:, None] * ex[None, :]
            bits = bits ^ lowest
    drawn += background
    inside = (row < height)[:, None] & (column < width)[None, :]
    pixel = row.to(tl.int64)[:, None] * width + column[None, :]
    if RESIDUAL:
        drawn -= tl.load(channel + batch.to(tl.int64) * channel_stride + pixel, mask=inside, other=0.0)
        drawn = tl.where(inside, drawn, 0.0)
        tl.store(sums + program, 0.5 * tl.sum(tl.sum(drawn * drawn, 1), 0))
        tl.store(sums + tl.num_programs(0) + program, tl.sum(tl.sum(drawn, 1), 0))
    tl.store(image + batch.to(tl.int64) * height * width + pixel, drawn, mask=inside)


@_jit
def gather_gradients(
    gradient: tl.tensor, x: tl.tensor, y: tl.tensor, r: tl.tensor, amplitude: tl.tensor, partial: tl.tensor,
    height: tl.tensor, width: tl.tensor, droplets: tl.tensor, total: tl.tensor,
    CUT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, STRIPS: tl.constexpr,
) -> None:  # fmt: skip
    """Sum a gradient by the image over every STRIPS-th block of rows of a droplet's box.

    With G that gradient, e the droplet of height 1 and u, v the distances in radii, the sums over pixels are
    -a/r G e u by x, -a/r G e v by y, a/r G e (u^2 + v^2) by r and G e by the amplitude a.
    """
    one = tl.program_id(0).to(tl.int64)
    strip = tl.program_id(1)
    cx = tl.load(x + one)
    cy = tl.load(y + one)
    radius = tl.load(r + one)
    limit = tl.abs(radius) * CUT
    inverse = 1.0 / radius
    # The box, cut to the image before it becomes integers, which could not hold it. The comparisons let
    # not-a-number take the whole image.
    low_x = tl.where(cx - limit > 0.0, cx - limit, 0.0)
    low_y = tl.where(cy - limit > 0.0, cy - limit, 0.0)
    high_x = tl.where(cx + limit < width - 1.0, cx + limit, width - 1.0)
    high_y = tl.where(cy + limit < height - 1.0, cy + limit, height - 1.0)
    left = tl.where(low_x < width, low_x, width).to(tl.int32)
    top = tl.where(low_y < height, low_y, height).to(tl.int32)
    right = tl.where(high_x > -1.0, high_x + 1.0, -1.0).to(tl.int32) + 1
    bottom = tl.where(high_y > -1.0, high_y + 1.0, -1.0).to(tl.int32) + 1
    image = gradient + (one // droplets) * height * width
    sum_1 = tl.zeros((ROWS,), radius.dtype)
    sum_u = tl.zeros((ROWS,), radius.dtype)
    sum_v = tl.zeros((ROWS,), radius.dtype)
    sum_q = tl.zeros((ROWS,), radius.dtype)
    for start_row in range(top + strip * ROWS, bottom, STRIPS * ROWS):
        row = start_row + tl.arange(0, ROWS)
        here = image + row.to(tl.int64)[:, None] * width
        along_1 = tl.zeros((ROWS, COLUMNS), radius.dtype)
        along_u = tl.zeros((ROWS, COLUMNS), radius.dtype)
        along_q = tl.zeros((ROWS, COLUMNS), radius.dtype)
        for start_column in range(left, right, COLUMNS):
            column = start_column + tl.arange(0, COLUMNS)
            inside = (row < height)[:, None] & (column < width)[None, :]
            g = tl.load(here + column[None, :], mask=inside, other=0.0)
            dx = cx - column
            u = dx * inverse
            ex = tl.where(tl.abs(dx) > limit, 0.0, tl.exp(-0.5 * u * u))
            along_1 += g * ex[None, :]
            along_u += g * (ex * u)[None, :]
            along_q += g * (ex * u * u)[None, :]
        dy = cy - row
        v = dy * inverse
        ey = tl.where(tl.abs(dy) > limit, 0.0, tl.exp(-0.5 * v * v))
        row_1 = tl.sum(along_1, 1) * ey
        sum_1 += row_1
        sum_u += tl.sum(along_u, 1) * ey
        sum_v += row_1 * v
        sum_q += tl.sum(along_q, 1) * ey + row_1 * v * v
    scale = tl.load(amplitude + one) * inverse
    out = partial + strip.to(tl.int64) * total + one
    tl.store(out, -scale * tl.sum(sum_u, 0))
    tl.store(out + STRIPS * total, -scale * tl.sum(sum_v, 0))
    tl.store(out + 2 * STRIPS * total, scale * tl.sum(sum_q, 0))
    tl.store(out + 3 * STRIPS * total, tl.sum(sum_1, 0))


# With TRITON_INTERPRET=1 in the environment the decorator makes something else, which runs on the CPU.
INTERPRETED = not isinstance(draw_tiles, triton.JITFunction)
