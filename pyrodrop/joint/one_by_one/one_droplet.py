"""One droplet of a joint fit by itself, with an edge of its own, in an image of it alone."""

from typing import NamedTuple

import numpy as np

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.posterior import far_of
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import EDGE
from pyrodrop.joint.trust_region import SMALLEST_PX, STEP_LOG_R, STEP_PX, STEP_SHAPE
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.kernels.columns import Columns, columns_of_droplets

_STEPS = 12
_GAIN = 1e-3  # in log density, below which a step is the last
_DAMPING = (1e-3, 10.0, 1e6)  # of the first step, by how much more after one that was worse, and at most


class LocalView(NamedTuple):
    """A droplet in its window: rows and columns of the image, and what columns_of_droplets has there, (4 + S, h, w)."""

    window: tuple[slice, slice]
    pictures: Array

    @classmethod
    def of(cls, columns: Columns, k: int) -> "LocalView":
        """Of the k-th droplet."""
        left, top, wide, high = (int(v) for v in columns.box[k])
        first = int(columns.before[k]) * columns.number
        pictures = columns.kept[first : first + columns.number * wide * high].reshape(columns.number, high, wide)
        return cls((slice(top, top + high), slice(left, left + wide)), pictures.astype(np.float64))

    def derivatives(self, amplitude: Array, noise: Array, shared: int | None = None) -> Array:
        """Derivatives by x, y, log r, the C amplitudes and, if asked for, a shared number, over the noise, (C h w, D).

        Args:
            amplitude: heights of the droplet, (C,).
            noise: standard deviation of each channel's, (C,).
            shared: which of the shared numbers.
        """
        own = [1, 2, 3] if shared is None else [1, 2, 3, 4 + shared]
        count, pixels = len(noise), self.pictures[0].size
        flat = self.pictures.reshape(len(self.pictures), pixels)
        matrix = np.zeros((count, pixels, len(own) + count))
        for c in range(count):
            by_own = (amplitude[c] / noise[c] * flat[own]).T
            matrix[c, :, :3], matrix[c, :, 3 + c] = by_own[:, :3], flat[0] / noise[c]
            matrix[c, :, 3 + count :] = by_own[:, 3:]
        return matrix.reshape(count * pixels, -1)


class OneDroplet(NamedTuple):
    """One droplet of a fit: x, y, log r, C amplitudes and log w as they are, and where they began."""

    fit: JointFit
    number: int
    begin: Array
    unknowns: Array

    @classmethod
    def of(cls, fit: JointFit, k: int) -> "OneDroplet":
        """The k-th of a fit whose profile has an edge."""
        state, number = fit.state, profile_named(fit.profile).shape_names.index(EDGE)
        own = [state.x[k], state.y[k], state.log_r[k], *state.amplitude[:, k], np.log(fit.shape[number])]
        return cls(fit, number, np.array(own), np.array(own))

    def view(self) -> LocalView:
        """The droplet as it is."""
        profile, shape = profile_named(self.fit.profile), self.fit.shape.copy()
        shape[self.number] = np.exp(self.unknowns[-1])
        x, y, log_r = (self.unknowns[i : i + 1] for i in range(3))
        size = self.fit.residuals.image.shape[1:]
        return LocalView.of(columns_of_droplets(profile, x, y, np.exp(log_r), shape, size, profile.left_out), 0)

    def paint(self, image: Array, sign: float) -> None:
        """Add the droplet to the image (C, H, W), or take it away."""
        view = self.view()
        image[(slice(None), *view.window)] += sign * self.unknowns[3:-1, None, None] * view.pictures[0]

    def prior(self) -> tuple[Array, Array]:
        """Gradient and diagonal precision of what is not the image: priors of log r and log w."""
        profile, gradient, precision = profile_named(self.fit.profile), *np.zeros((2, len(self.unknowns)))
        precision[2] = self.fit.priors.log_r.sd**-2.0
        precision[-1] = profile.prior_sd[self.number] ** -2.0
        gradient[2] = (self.unknowns[2] - float(self.fit.priors.log_r.mean)) * precision[2]
        gradient[-1] = (self.unknowns[-1] - self.begin[-1]) * precision[-1]
        return gradient, precision

    def energy(self, image: Array, window: tuple[slice, slice]) -> float:
        """Negative log density with the droplet, of what it is seen in without it, in a window, up to a constant."""
        view, noise = self.view(), self.fit.noise[:, None, None]
        left = image[(slice(None), *window)].copy()
        rows, along = (np.arange(side.start, side.stop) for side in view.window)
        down, across = window
        inside = np.ix_((rows >= down.start) & (rows < down.stop), (along >= across.start) & (along < across.stop))
        rows, along = rows[inside[0].ravel()], along[inside[1].ravel()]
        if len(rows) and len(along):
            place = np.ix_(rows - down.start, along - across.start)
            left[(slice(None), *place)] -= self.unknowns[3:-1, None, None] * view.pictures[0][inside]
        gradient, precision = self.prior()
        of_prior = np.divide(gradient**2, precision, out=np.zeros_like(gradient), where=precision > 0).sum()
        return float(np.square(left / noise).sum() + of_prior) / 2

    def grown_window(self) -> tuple[slice, slice]:
        """Its window, and half as much more on each side, as far as the image goes."""
        return _grown(self.view().window, self.fit.residuals.image.shape[1:])

    def cost_of_edge(self) -> float:
        """Log of how much less the log of its own edge may vary than its prior has it."""
        matrix = self.view().derivatives(self.unknowns[3:-1], self.fit.noise, self.number)
        precision = matrix.T @ matrix + np.diag(self.prior()[1])
        prior_sd = float(profile_named(self.fit.profile).prior_sd[self.number])
        return float(np.log(prior_sd) - np.log(np.linalg.inv(precision)[-1, -1]) / 2)

    def fitted(self, image: Array) -> "OneDroplet":
        """By Levenberg and Marquardt's steps, to an image of the droplet alone, (C, H, W)."""
        droplet, damping = self, _DAMPING[0]
        far = far_of(np.exp(self.begin[2:3]))[0]
        low, high = (bound[self.number] for bound in profile_named(self.fit.profile).unconstrained_bounds)
        most = np.array([STEP_PX, STEP_PX, STEP_LOG_R, *[np.inf] * (len(self.begin) - 4), STEP_SHAPE])
        for _ in range(_STEPS):
            view = droplet.view()
            # Wide enough for the next step, so that both energies are of the same pixels.
            window = _grown(view.window, image.shape[1:])
            matrix = view.derivatives(droplet.unknowns[3:-1], self.fit.noise, self.number)
            seen = image[(slice(None), *view.window)] - droplet.unknowns[3:-1, None, None] * view.pictures[0]
            gradient, precision = droplet.prior()
            downhill = matrix.T @ (seen / self.fit.noise[:, None, None]).ravel() - gradient
            normal = matrix.T @ matrix + np.diag(precision)
            before, gain = droplet.energy(image, window), 0.0
            while damping < _DAMPING[2]:
                step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), downhill)
                moved = droplet.unknowns + step / max(1.0, float(np.max(np.abs(step) / most)))
                moved[:2] = np.clip(moved[:2], self.begin[:2] - far, self.begin[:2] + far)
                moved[2], moved[-1] = max(moved[2], np.log(SMALLEST_PX)), np.clip(moved[-1], low, high)
                trial = droplet._replace(unknowns=moved)
                gain = before - trial.energy(image, window)
                if gain >= 0:
                    droplet, damping = trial, damping / _DAMPING[1]
                    break
                damping *= _DAMPING[1]
            if gain < _GAIN:
                break
        return droplet


def _grown(window: tuple[slice, slice], size: tuple[int, ...]) -> tuple[slice, slice]:
    """Half as much more on each side, as far as the image goes."""
    down, across = (
        slice(max(side.start - (side.stop - side.start) // 2, 0), min(side.stop + (side.stop - side.start) // 2, end))
        for side, end in zip(window, size, strict=True)
    )
    return down, across
