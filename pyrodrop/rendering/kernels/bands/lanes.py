"""The innermost loops of the ``bands`` kernel, written as LLVM vector instructions.

A droplet is often only a few vectors wide, so what LLVM makes of a plain loop (checks for overlapping arrays, a long
unrolled body, a scalar remainder) costs more than the work. Here every loop runs over whole vectors of ``lanes``
numbers and nothing else; LLVM maps the vectors to whatever the machine has. Memory is addressed by plain integers:
callers keep arrays padded to whole vectors, and alive.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

# Numba's own signature speaks of the compiler's call, not of the caller's.
intrinsic: Any = _intrinsic

BYTES = 32  # of one vector


def lanes(bits: int) -> int:
    """Numbers of so many bits in one vector."""
    return BYTES * 8 // bits


class _Vectors:
    """Builds vector instructions for one floating point type."""

    def __init__(self, builder: ir.IRBuilder, number: types.Float) -> None:
        self.builder = builder
        self.double = number.bitwidth == 64
        self.width = lanes(number.bitwidth)
        self.scalar: Any = ir.DoubleType() if self.double else ir.FloatType()
        self.vector = ir.VectorType(self.scalar, self.width)
        self.whole = ir.VectorType(ir.IntType(number.bitwidth), self.width)
        self.bytes = number.bitwidth // 8

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * self.width)

    def splat(self, scalar: Any) -> Any:
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.builder.shuffle_vector(first, empty, zeros)

    def at(self, address: Any, index: Any) -> Any:
        """Pointer to the vector that starts at a number's index."""
        offset = self.builder.mul(index, ir.Constant(index.type, self.bytes))
        return self.builder.inttoptr(self.builder.add(address, offset), self.vector.as_pointer())

    def load(self, pointer: Any) -> Any:
        return self.builder.load(pointer, align=self.bytes)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, pointer, align=self.bytes)

    def number(self, address: Any, index: int) -> Any:
        """One number, in all lanes."""
        place = self.builder.add(address, ir.Constant(address.type, index * self.bytes))
        pointer = self.builder.inttoptr(place, self.scalar.as_pointer())
        return self.splat(self.builder.load(pointer, align=self.bytes))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Fused where the machine can, a * b + c in two roundings where it cannot."""
        name = f"llvm.fmuladd.v{self.width}f{64 if self.double else 32}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def sum(self, vector: Any) -> Any:
        """Sum of the lanes as a scalar, halving the vector: the same order on every machine."""
        width = self.width
        while width > 1:
            width //= 2
            picked = [(i + width) % self.width for i in range(self.width)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), picked)
            vector = self.builder.fadd(vector, self.builder.shuffle_vector(vector, vector, mask))
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    def loop(self, count: Any) -> Any:
        zero, step = ir.Constant(count.type, 0), ir.Constant(count.type, self.width)
        return cgutils.for_range_slice(self.builder, zero, count, step, count.type)

    def exp2(self, exponent: Any) -> Any:
        """2^exponent for exponent <= 0, exact zero below the smallest exponent that matters.

        Adding 1.5 * 2^(mantissa bits) rounds to an integer, whose bits then go straight into the exponent of the
        result; the rest, within one half, goes through the Taylor series of 2^f, cut where it is exact to rounding.
        """
        builder = self.builder
        mantissa, degree, smallest = (52, 13, -500.0) if self.double else (23, 7, -40.0)
        magic = self.constant(1.5 * 2.0**mantissa)
        floor = self.constant(smallest)
        matters = builder.fcmp_ordered(">", exponent, floor)
        exponent = builder.select(matters, exponent, floor)
        shifted = builder.fadd(exponent, magic)
        rest = builder.fsub(exponent, builder.fsub(shifted, magic))
        series = self.constant(math.log(2) ** degree / math.factorial(degree))
        for power in range(degree - 1, -1, -1):
            term = self.constant(math.log(2) ** power / math.factorial(power))
            series = self.fma(series, rest, term)
        bits = builder.bitcast(shifted, self.whole)
        bits = builder.shl(bits, ir.Constant(self.whole, [mantissa] * self.width))
        power_of_two = builder.add(builder.bitcast(series, self.whole), bits)
        return builder.select(matters, builder.bitcast(power_of_two, self.vector), self.constant(0.0))


@intrinsic
def fill_gaussian(typingctx: Any, out: Any, count: Any, first: Any, scale: Any) -> Any:
    """out[i] = 2^-((first + i) scale)^2 for i = 0 .. count - 1; count a multiple of the lanes."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out_, count_, first_, scale_ = args
        v = _Vectors(builder, signature.args[3])
        steps = ir.Constant(v.vector, [float(i) for i in range(v.width)])
        start = builder.fadd(v.splat(first_), steps)
        scales = v.splat(scale_)
        with v.loop(count_) as (i, _):
            place = builder.fadd(start, v.splat(builder.sitofp(i, v.scalar)))
            u = builder.fmul(place, scales)
            v.store(v.exp2(builder.fneg(builder.fmul(u, u))), v.at(out_, i))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, scale, scale), build


@intrinsic
def add_four_rows(typingctx: Any, rows: Any, stride: Any, down: Any, across: Any, count: Any, like: Any) -> Any:
    """rows[j, i] += down[j] across[i] for four rows j and i = 0 .. count - 1; stride in bytes; like gives the type."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows_, stride_, down_, across_, count_, _like = args
        v = _Vectors(builder, signature.args[5])
        heights = [v.number(down_, j) for j in range(4)]
        starts = [rows_]
        for _ in range(3):
            starts.append(builder.add(starts[-1], stride_))
        with v.loop(count_) as (i, _):
            e = v.load(v.at(across_, i))
            for start, height in zip(starts, heights, strict=True):
                pointer = v.at(start, i)
                v.store(v.fma(height, e, v.load(pointer)), pointer)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, like), build


@intrinsic
def gather_four_rows(
    typingctx: Any,
    rows: Any,
    stride: Any,
    down: Any,
    across: Any,
    count: Any,
    columns: Any,
    moments: Any,
    like: Any,
) -> Any:
    """Sums of four rows of the residual with a droplet's factors, two multiply-adds a pixel.

    columns[i] += sum_j down[0, j] rows[j, i], and with d_j = sum_i across[i] rows[j, i], kept as one vector of
    partial sums each, moments[m] += sum_j down[m, j] d_j for m = 1, 2. ``down`` holds at [m, j] the factor times the
    m-th power of the row's distance, and its rows are ``WEIGHTS`` numbers apart.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows_, stride_, down_, across_, count_, columns_, moments_, _like = args
        v = _Vectors(builder, signature.args[7])
        heights = [v.number(down_, j) for j in range(4)]
        starts = [rows_]
        for _ in range(3):
            starts.append(builder.add(starts[-1], stride_))
        sums = [cgutils.alloca_once_value(builder, v.constant(0.0)) for _ in range(4)]
        for total in sums:
            builder.store(v.constant(0.0), total)
        with v.loop(count_) as (i, _):
            e = v.load(v.at(across_, i))
            values = [v.load(v.at(start, i)) for start in starts]
            for total, value in zip(sums, values, strict=True):
                builder.store(v.fma(value, e, builder.load(total)), total)
            pointer = v.at(columns_, i)
            left = v.fma(heights[1], values[1], builder.fmul(heights[0], values[0]))
            right = v.fma(heights[3], values[3], v.fma(heights[2], values[2], v.load(pointer)))
            v.store(builder.fadd(left, right), pointer)
        dots = [builder.load(total) for total in sums]
        for m in (1, 2):
            pointer = v.at(moments_, ir.Constant(moments_.type, (m - 1) * v.width))
            total = v.load(pointer)
            for j in range(4):
                total = v.fma(v.number(down_, m * WEIGHTS + j), dots[j], total)
            v.store(total, pointer)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7, like), build


WEIGHTS = 64  # numbers from one row of ``down`` to the next: rows of a band, and room for a whole vector


@intrinsic
def close_moments(typingctx: Any, columns: Any, across: Any, count: Any, moments: Any, first: Any) -> Any:
    """(sum_i c, sum_i c d, sum moments[1], sum_i c d^2 + sum moments[2]), c = columns[i] across[i], d = first + i."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        columns_, across_, count_, moments_, first_ = args
        v = _Vectors(builder, signature.args[4])
        steps = ir.Constant(v.vector, [float(i) for i in range(v.width)])
        start = builder.fadd(v.splat(first_), steps)
        sums = [cgutils.alloca_once_value(builder, v.constant(0.0)) for _ in range(3)]
        for total in sums:
            builder.store(v.constant(0.0), total)
        with v.loop(count_) as (i, _):
            d = builder.fadd(start, v.splat(builder.sitofp(i, v.scalar)))
            c = builder.fmul(v.load(v.at(columns_, i)), v.load(v.at(across_, i)))
            cd = builder.fmul(c, d)
            builder.store(builder.fadd(builder.load(sums[0]), c), sums[0])
            builder.store(builder.fadd(builder.load(sums[1]), cd), sums[1])
            builder.store(v.fma(cd, d, builder.load(sums[2])), sums[2])
        by_row = [v.load(v.at(moments_, ir.Constant(moments_.type, m * v.width))) for m in (0, 1)]
        second = builder.fadd(builder.load(sums[2]), by_row[1])
        parts = [builder.load(sums[0]), builder.load(sums[1]), by_row[0], second]
        return context.make_tuple(builder, signature.return_type, [v.sum(part) for part in parts])

    return types.UniTuple(first, 4)(*[types.intp] * 4, first), build
