"""Where the joint fit sums over pixels: the one door to the compiled sums of the CPU and to those of torch on a device.

An engine keeps images and droplets' pictures where it computes. What is summed over the pixels of droplets comes back
as arrays: numbers of droplets and of what they share, which the sparse solver of the host needs. Whoever uses an engine
knows no device: its images are arrays or tensors, which are added, multiplied and indexed alike.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pyrodrop.rendering import Profile

Array = NDArray[np.float64]
# Images (C, H, W) of float64, where the engine computes: an array or a tensor.
Image = Any


class Pictures(Protocol):
    """Heights and derivatives of droplets, each in its window, where the engine computes; see ``columns.Columns``."""

    @property
    def box(self) -> NDArray[np.int64]:
        """Left, top, wide and high of each window in px, (N, 4), on the host."""

    @property
    def number(self) -> int:
        """Pictures of a droplet: its height, derivatives by x, y and log r, and by each shared number."""

    def those(self, some: NDArray[np.intp]) -> Any:
        """Of some of the droplets; nothing is copied."""

    def replaced(self, some: NDArray[np.intp], others: Any) -> Any:
        """With other pictures of some of the droplets."""


class Places(NamedTuple):
    """Centres and radii of droplets in px, (N,) each."""

    x: Array
    y: Array
    r: Array


class Splines(NamedTuple):
    """Of each pixel along an axis, where the engine computes: the four weights that are not always zero, shape
    (length, 4), and the number of the first of their control points, shape (length,); and how many of these there are.
    """

    weights: Any
    first: Any
    points: int

    @classmethod
    def of(cls, basis: Array) -> "Splines":
        """A spline basis, shape (length, points), without its zeros."""
        first = np.minimum((basis != 0).argmax(1), basis.shape[1] - 4)
        four = np.take_along_axis(basis, first[:, None] + np.arange(4), 1)
        return cls(np.ascontiguousarray(four), first, basis.shape[1])


class Grid(NamedTuple):
    """Splines down and along an image, where the engine computes: whole bases, (length, points), and ``Splines``."""

    down: Image
    along: Image
    down_four: Splines
    along_four: Splines

    @property
    def points(self) -> int:
        """How many control points one channel has."""
        return int(self.down.shape[1] * self.along.shape[1])

    def image(self, control: Image) -> Image:
        """The image (C, H, W) of control points (C, points)."""
        return self.down @ control.reshape(-1, self.down.shape[1], self.along.shape[1]) @ self.along.T

    def products(self, images: Image) -> Image:
        """Sums of images (K, H, W) times each spline, (K, points)."""
        return (self.down.T @ images @ self.along).reshape(len(images), -1)


class Engine(Protocol):
    """The sums of the joint fit over pixels. N droplets, C channels; P, how many of a droplet's pictures."""

    def image(self, array: Array) -> Image:
        """The array where the engine computes, shared with it if need not be copied."""

    def array(self, image: Image) -> Array:
        """What the engine has computed, on the host."""

    def copy(self, image: Image) -> Image:
        """An image that can be changed."""

    def grid(self, down: Array, along: Array) -> Grid:
        """Spline bases, (H, rows) and (W, columns)."""

    def columns(
        self, profile: Profile, places: Places, shape: Array, size: tuple[int, int], known: Image | None
    ) -> Pictures:
        """Heights and derivatives of droplets of amplitude 1, as far as the profile's ``left_out`` says; zero where the
        image is not known, known: (H, W), 0 or 1.
        """

    def paint(self, columns: Any, amplitude: Array, image: Image) -> None:
        """Add the heights times amplitude, (C, N), to the image."""

    def painted_shared(self, columns: Any, amplitude: Array, size: tuple[int, int]) -> Image:
        """The derivatives by the S shared numbers times amplitude, (N,): images (S, H, W)."""

    def project(self, columns: Any, images: Image, first: int) -> Array:
        """Products of the first P pictures with images (K, H, W), shape (N, K, P)."""

    def gram(self, columns: Any, pairs: NDArray[np.int64], first: int) -> Array:
        """Products of the first P pictures of each pair of droplets where both are, (pairs, P, P)."""

    def on_splines(self, columns: Any, grid: Grid, first: int) -> Array:
        """Products of the first P pictures with the background's splines, (N, P, points)."""

    def lost_at(self, places: Places, before: Image, after: Image, weight: Array) -> Array:
        """Sums of weight (after^2 - before^2), weight (C,), over each droplet's square of 2 r a side, (N,)."""

    def change_in(
        self, box: NDArray[np.int64], group: NDArray[Any], before: Image, after: Image, weight: Array
    ) -> Array:
        """The same over the boxes (N, 4) of each group, a pixel once: (groups,). group: each box's number, (N,); boxes
        of two groups share no pixel.
        """

    def copy_boxes(self, box: NDArray[np.int64], source: Image, target: Image) -> None:
        """Copy the pixels of the boxes from one image to another."""

    def inflation(self, columns: Any, weighted: Image, lags: NDArray[np.int64], correlation: Array) -> Array:
        """How much larger the variance of each product with the residual is than for even, independent noise.

        For every droplet and each of its first four pictures J, (N, 4, 3): the sum over lags l, (L, 2), rows and
        columns, one of each opposite pair, of correlation[l] sum_z J(z) J(z + l), over sum J^2; sum J^2 e^2 over
        sum J^2, e the residual over its standard deviation, squared in ``weighted``, (H, W); and the number of pixels
        that this second mean is over.
        """

    def correlation(self, image: Image, lags: NDArray[np.int64]) -> Array:
        """Mean products of the image with itself so many rows and columns further, (L,)."""
