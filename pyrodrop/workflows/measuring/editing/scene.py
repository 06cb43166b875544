"""All droplets that the model of a measurement has, as arrays: where they are, and what was said of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pyrodrop.joint.problem import State
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.rendering import Profile, profile_named
from pyrodrop.workflows.measuring.contents import FittedModel

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """Droplets at the joint mode, M of them, and the new ones that a person has drawn.

    Attributes:
        profile: theirs.
        shape: the numbers that they share, (S,).
        x, y, r: centres and radii of the profile in px, (M,).
        amplitude: heights, (C, M); 0 of one that was not fitted yet.
        found: circles that they were found with, and the network's words; 0 is proposed of what a person has drawn.
    """

    profile: Profile
    shape: Array
    x: Array
    y: Array
    r: Array
    amplitude: Array
    found: Candidates

    @classmethod
    def of(cls, fitted: FittedModel, found: Candidates) -> "Scene":
        """Of a measurement."""
        profile = profile_named(fitted.profile)
        x, y, r, amplitude = (fitted.sites[name].numpy() for name in ("x", "y", "r", "amplitude"))
        parts = [fitted.sites[parameter.name].numpy().reshape(-1) for parameter in profile.parameters]
        return cls(profile, np.concatenate([np.zeros(0), *parts]), x, y, r, amplitude, found)

    def and_circles(self, circles: Array) -> "Scene":
        """With new droplets after them, x, y and radius of half height, (K, 3)."""
        x, y, radius = circles.T
        return Scene(
            self.profile,
            self.shape,
            np.concatenate([self.x, x]),
            np.concatenate([self.y, y]),
            np.concatenate([self.r, radius / self.profile.half_share]),
            np.concatenate([self.amplitude, np.zeros((len(self.amplitude), len(x)))], 1),
            self.found.and_those(Candidates.of_residual(x, y, radius)),
        )

    def found_where_it_is(self, some: NDArray[np.intp]) -> "Scene":
        """With some droplets found where they are now."""
        x, y, radius, proposed, sd = (values.copy() for values in self.found)
        x[some], y[some], radius[some] = self.x[some], self.y[some], self.r[some] * self.profile.half_share
        return replace(self, found=Candidates(x, y, radius, proposed, sd))

    @cached_property
    def reach(self) -> Array:
        """How far from its centre each droplet is seen at all, px, (M,)."""
        return np.asarray(self.profile.support(self.r, self.shape, self.profile.left_out))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(np.stack([self.x, self.y], 1))

    def groups_of(self, some: Mask) -> list[Mask]:
        """Some droplets, (M,), in groups that share no pixels with each other."""
        groups, left = [], some.copy()
        while left.any():
            group = np.zeros(len(left), bool)
            group[np.argmax(left)] = True
            while ((wider := self.sharing_pixels(group) & some) != group).any():
                group = wider
            groups.append(group)
            left &= ~group
        return groups

    def sharing_pixels(self, some: Mask) -> Mask:
        """Which droplets share pixels with some of them, (M,): these, and those whom they meet."""
        meets = some.copy()
        if not some.any():
            return meets
        centres, furthest = np.stack([self.x, self.y], 1), float(self.reach.max())
        chosen = np.flatnonzero(some)
        for k, near in zip(
            chosen, self._tree.query_ball_point(centres[chosen], self.reach[chosen] + furthest), strict=True
        ):
            others = np.array(near)
            apart = np.hypot(self.x[others] - self.x[k], self.y[others] - self.y[k])
            meets[others[apart < self.reach[k] + self.reach[others]]] = True
        return meets

    def seen_at(self, pixels: Mask) -> Mask:
        """Which droplets are seen in some pixels of the image, (H, W)."""
        from scipy.ndimage import distance_transform_edt

        if not pixels.any():
            return np.zeros(len(self.x), bool)
        row, column = (
            np.clip(np.round(place).astype(int), 0, side - 1)
            for place, side in ((self.y, pixels.shape[0]), (self.x, pixels.shape[1]))
        )
        return np.asarray(distance_transform_edt(~pixels)[row, column] <= self.reach)

    def boxes(self, some: Mask) -> tuple[Array, Array]:
        """Least and greatest x and y at which some droplets are seen, (n, 2) each."""
        centres, reach = np.stack([self.x, self.y], 1)[some], self.reach[some, None]
        return centres - reach, centres + reach

    def information(self, noise: Array) -> Array:
        """What each droplet says of the numbers that all share, up to a factor, (M,): a^2 r^2 over the noise (C,)^2."""
        return np.asarray(np.square(self.amplitude / noise[:, None]).sum(0) * self.r**2)

    def state_of(self, some: NDArray[np.intp]) -> State:
        """Some of the droplets in px of the image; of what is shared the shape alone."""
        return State(
            self.x[some],
            self.y[some],
            np.log(self.r[some]),
            self.amplitude[:, some],
            self.profile.unconstrained(self.shape),
            np.zeros((len(self.amplitude), 0)),
        )
