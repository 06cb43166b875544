"""The sums of the joint fit on the CPU, by loops that Numba compiles; importing Numba is left to who sums."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.sums.engine import Array, Grid, Image, Places, Splines
from pyrodrop.rendering import Profile
from pyrodrop.rendering.kernels.columns import Columns, columns_of_droplets


class Compiled:
    """The engine of the CPU; see ``engine.Engine``, whose methods these are."""

    @cached_property
    def _loops(self) -> Any:
        from pyrodrop.joint.sums import windows

        return windows

    def image(self, array: Array) -> Image:
        return np.asarray(array, dtype=np.float64)

    def array(self, image: Image) -> Array:
        return np.asarray(image)

    def copy(self, image: Image) -> Image:
        return image.copy()

    def grid(self, down: Array, along: Array) -> Grid:
        return Grid(down, along, Splines.of(down), Splines.of(along))

    def columns(
        self, profile: Profile, places: Places, shape: Array, size: tuple[int, int], known: Image | None
    ) -> Columns:
        columns = columns_of_droplets(profile, *places, shape, size, profile.left_out)
        if known is not None:
            self._loops.clear_unknown(columns.windowed, known)
        return columns

    def paint(self, columns: Columns, amplitude: Array, image: Image) -> None:
        self._loops.paint(columns.windowed, np.ascontiguousarray(amplitude), image)

    def painted_shared(self, columns: Columns, amplitude: Array, size: tuple[int, int]) -> Image:
        images = np.zeros((columns.number - 4, *size))
        self._loops.paint_shared(columns.windowed, np.ascontiguousarray(amplitude), images)
        return images

    def project(self, columns: Columns, images: Image, first: int) -> Array:
        out = np.empty((len(columns.box), len(images), first))
        self._loops.project(columns.windowed, images, out)
        return out

    def gram(self, columns: Columns, pairs: NDArray[np.int64], first: int) -> Array:
        out = np.empty((len(pairs), first, first))
        self._loops.gram(columns.windowed, pairs, out)
        return out

    def on_splines(self, columns: Columns, grid: Grid, first: int) -> Array:
        out = np.zeros((len(columns.box), first, grid.points))
        self._loops.with_background(columns.windowed, grid.down_four, grid.along_four, out)
        return out

    def lost_at(self, places: Places, before: Image, after: Image, weight: Array) -> Array:
        out = np.zeros(len(places.x))
        self._loops.lost_at(*places, before, after, weight, out)
        return out

    def change_in(
        self, box: NDArray[np.int64], group: NDArray[Any], before: Image, after: Image, weight: Array
    ) -> Array:
        out, seen = np.zeros(int(group.max(initial=-1)) + 1), np.zeros(before.shape[1:], np.bool_)
        self._loops.change_in(box, group, before, after, weight, seen, out)
        return out

    def copy_boxes(self, box: NDArray[np.int64], source: Image, target: Image) -> None:
        self._loops.copy_boxes(box, source, target)

    def inflation(self, columns: Columns, weighted: Image, lags: NDArray[np.int64], correlation: Array) -> Array:
        out = np.empty((len(columns.box), 4, 3))
        self._loops.inflation(columns.windowed, weighted, lags, correlation, out)
        return out

    def correlation(self, image: Image, lags: NDArray[np.int64]) -> Array:
        _, height, width = image.shape
        out = np.empty(len(lags))
        for n, (down, across) in enumerate(lags.tolist()):
            some = image[:, down:, max(across, 0) : width + min(across, 0)]
            other = image[:, : height - down, max(-across, 0) : width - max(across, 0)]
            out[n] = np.einsum("chw,chw->", some, other) / some.size
        return out


COMPILED = Compiled()
