"""The search for droplets in an image: pursuit, settling, births and deaths, over one arrangement of droplets."""

import math

import numpy as np
import numpy.typing as npt

from pyrodrop.pursuit.arrangement import Arrangement, Bounds, Doubles, Floats, Integers

STEPS = 3  # Gauss-Newton steps for a droplet just found
SHARE = 0.15  # of the droplets that a round of births and deaths may replace
PATIENCE = 4  # rounds in a row that bring nothing before births and deaths end
EXCHANGED = 0.05  # share of the droplets that a round of exchange may replace
PAYS = 1e-3  # of the cost: what settling together has to lower it by to be worth its time
HOLDS = 2.0  # variance of the residual, in units of the noise's, up to which the model holds for the image
SAMPLE = 65536  # pixels that are enough to find the mode


class Search:
    """The moves of the search, made ready for one size of image and one set of bounds."""

    def __init__(self, size: tuple[int, ...], bounds: Bounds) -> None:
        # Here and not above: importing numba takes a while, and a fit that starts elsewhere needs none of it.
        from pyrodrop.pursuit import deaths, refine, scales, together
        from pyrodrop.pursuit import matching_pursuit as pursuit

        self._refine, self._pursue, self._correlate = refine, pursuit.pursue, scales.correlate
        self._deaths, self._together = deaths, together
        self.bounds = bounds
        mean, sd = bounds.log_radius
        low, high = bounds.radius
        # Radii beyond 2.5 standard deviations are too rare to look for, but droplets may grow there.
        self._scales = scales.scales_between(
            min(max(low, math.exp(mean - 2.5 * sd)), high),
            max(min(high, math.exp(mean + 2.5 * sd)), low),
            size,
        )
        self._limits = np.array([*bounds.amplitude, low, high, mean, (bounds.error_scale / sd) ** 2])

    def begin(self, image: Floats, background: float, n_droplets: int) -> Arrangement:
        """Place n droplets in an image (H, W) by matching pursuit, over a given background."""
        level = self._level(background)
        found = Arrangement(np.empty((n_droplets, 4)), level, image - np.float32(level))
        found.droplets[:] = self._born(found.residual, n_droplets)
        return found

    def resume(self, image: Floats, background: float, droplets: Doubles) -> Arrangement:
        """Go on from droplets (n, 4) that are already there."""
        level = self._level(background)
        lowest, highest = self._limits[[0, 2]], self._limits[[1, 3]]
        droplets = droplets.copy()
        droplets[:, [3, 2]] = droplets[:, [3, 2]].clip(lowest, highest)
        found = Arrangement(droplets, level, image - np.float32(level))
        for x, y, r, amplitude in droplets:
            self._refine.add(found.residual, x, y, r, -amplitude)
        return found

    def settle(self, found: Arrangement, sweeps: int) -> None:
        """Sweeps that fit each droplet to what the others leave, and the background to what all leave."""
        for _ in range(sweeps):
            self._refine.sweep(found.residual, found.droplets, self._limits, 2)
            level = self._level(found.background + float(found.residual.mean(dtype=np.float64)))
            found.residual -= np.float32(level - found.background)
            found.background = level

    def settle_together(self, found: Arrangement, steps: int) -> None:
        """Fit all droplets and the background at once: what sweeps only creep towards where droplets overlap."""
        # A tenth of a unit of log likelihood decides nothing.
        enough = 0.1 * self.bounds.error_scale**2
        self._together.settle(found, self.bounds, self._limits, steps, enough)

    def settle_some(self, found: Arrangement, some: Integers, steps: int) -> None:
        """Fit some of the droplets at once, all others and the background held."""
        part = Arrangement(found.droplets[some], found.background, found.residual)
        held = self.bounds._replace(background=(found.background, found.background))
        self._together.settle(part, held, self._limits, steps, 0.1 * self.bounds.error_scale**2)
        found.droplets[some], found.residual = part.droplets, part.residual

    def log_evidence(self, found: Arrangement) -> float:
        """Log of the evidence for an arrangement that has settled; see ``together.log_evidence``."""
        return self._together.log_evidence(found, self.bounds, self._limits)

    def rearrange(self, found: Arrangement, rounds: int) -> npt.NDArray[np.bool_]:
        """Rounds of births and deaths; returns which droplets (n,) were born anew.

        A round is: as many births as peaks of the residual, a time to settle, and as many deaths, in two halves.
        A round may make it worse, which lets the search leave a dead end; what counts is the best round.
        """
        return self._rounds(found, rounds, SHARE, PATIENCE, together=False)

    def exchange(self, found: Arrangement, rounds: int) -> npt.NDArray[np.bool_]:
        """Births and deaths of few droplets at a time, all others settling together; returns which were born anew.

        Only a residual that has settled shows what is missing. That takes long, so it is done only where a few steps
        of settling together bring something, or where all but few droplets are in place already; and it ends after
        the first round that brings nothing.
        """
        before = self.cost(found)
        self.settle_together(found, 3)
        if before - self.cost(found) < PAYS * before:
            noise = 0.5 * found.residual.size * self.bounds.error_scale**2
            if self._refine.half_square(found.residual) > HOLDS * noise:
                return np.zeros(len(found.droplets), bool)
        self.settle_together(found, 8)
        return self._rounds(found, rounds, EXCHANGED, 1, together=True)

    def _rounds(
        self, found: Arrangement, rounds: int, part: float, patience: int, together: bool
    ) -> npt.NDArray[np.bool_]:
        n = len(found.droplets)
        share = max(1, round(part * n))
        born = np.zeros(n, bool)
        best, lowest, fruitless = _copied(found, born), self.cost(found), 0
        for _ in range(rounds if n else 0):
            reborn = self._round(found, share, together)
            born = born | reborn
            cost = self.cost(found)
            if cost < lowest:
                best, lowest, fruitless = _copied(found, born), cost, 0
            else:
                fruitless += 1
                if fruitless == patience:
                    break
        kept, born = best
        vars(found).update(vars(kept))
        return born

    def _round(self, found: Arrangement, share: int, together: bool) -> npt.NDArray[np.bool_]:
        n = len(found.droplets)
        self.add_peaks(found, share)
        self.settle(found, 3)
        if together:
            self.settle_together(found, 8)
        alive = np.arange(n + share)
        for deaths in (share - share // 2, share // 2):
            weakest = self._least(found, deaths, together)
            self.take_out(found, weakest)
            alive = np.delete(alive, weakest)
            self.settle(found, 2)
            if together:
                self.settle_together(found, 6)
        # Those that lived stay in their places, and the newborn take the places that became free.
        freed = np.setdiff1d(np.arange(n), alive)
        found.droplets[np.concatenate([alive[alive < n], freed])] = found.droplets.copy()
        return np.isin(np.arange(n), freed)

    def cost(self, found: Arrangement) -> float:
        """Half the sum of squares of the residual, and the prior's share of it."""
        z = np.log(found.droplets[:, 2]) - self._limits[4]
        return float(self._refine.half_square(found.residual) + 0.5 * self._limits[5] * (z @ z))

    def gains(self, found: Arrangement) -> Doubles:
        """By how much the half sum of squares rises if one droplet is taken out, shape (n,)."""
        gains: Doubles = self._refine.gains(found.residual, found.droplets)
        return gains

    def worths(self, found: Arrangement, asked: Integers | None = None) -> tuple[Doubles, Integers]:
        """How much lower the half sum of squares is with each droplet than without, once its neighbours settled.

        Returns the worths (m,), and the neighbours (m, 4) of each droplet asked, -1 for none; asked are all, or those
        with these numbers (m,).
        """
        order = np.argsort(found.droplets[:, 0], kind="stable")
        ranks = np.argsort(order, kind="stable")
        ranks = ranks if asked is None else ranks[asked]
        worths, nearest = self._deaths.worths(found.residual, found.droplets, order, ranks, self._limits)
        return worths, nearest

    def least_worths(self, found: Arrangement, asked: Integers | None = None) -> tuple[Doubles, Integers]:
        """As ``worths``, or less where more than the nearest neighbours, or the background, would fill the gap."""
        asked = np.arange(len(found.droplets)) if asked is None else asked
        worths, nearest = self.worths(found, asked)
        height, width = found.residual.shape
        first_order = self._deaths.first_order_worths(found.droplets, asked, height, width, self._limits)
        return np.minimum(worths, first_order), nearest

    def take_out(self, found: Arrangement, droplets: Integers) -> None:
        """Take droplets out of an arrangement, and put what they explained back into its residual."""
        for x, y, r, amplitude in found.droplets[droplets]:
            self._refine.add(found.residual, x, y, r, amplitude)
        found.droplets = np.delete(found.droplets, droplets, axis=0)

    def add_peaks(self, found: Arrangement, count: int) -> None:
        """Add the droplets that explain most of the residual."""
        found.droplets = np.concatenate([found.droplets, self._born(found.residual, count)])

    def _least(self, found: Arrangement, count: int, together: bool) -> Integers:
        """The droplets worth least once their neighbours settle; as far as may be, no two of them neighbours.

        Of two that stand for one, each is worth nothing, but only as long as the other stays.
        """
        worths, nearest = self.least_worths(found) if together else self.worths(found)
        chosen, spared = [], []
        gone, held = np.zeros(len(worths), bool), np.zeros(len(worths), bool)
        for k in np.argsort(worths, kind="stable"):
            near = nearest[k][nearest[k] >= 0]
            if held[k] or gone[near].any():
                spared.append(k)
                continue
            gone[k] = held[near] = True
            chosen.append(k)
            if len(chosen) == count:
                break
        return np.array((chosen + spared)[:count], np.int64)

    def _born(self, residual: Floats, count: int) -> Doubles:
        """Droplets (count, 4) pursued in the residual, which they are taken out of."""
        droplets = np.empty((count, 4))
        responses = self._correlate(residual, self._scales)
        placed = self._pursue(residual, responses, *self._scales, self._limits, droplets, STEPS)
        droplets[placed:] = self._idle(count - placed, residual.shape)
        return droplets

    def _idle(self, count: int, size: tuple[int, ...]) -> Doubles:
        """Droplets (count, 4) of amplitude 0, spread by Roberts' R2 sequence, of the median radius."""
        turn = np.arange(1, count + 1)
        droplets = np.zeros((count, 4))
        droplets[:, 0] = turn * 0.7548776662466927 % 1.0 * size[1]
        droplets[:, 1] = turn * 0.5698402909980532 % 1.0 * size[0]
        droplets[:, 2] = min(max(math.exp(self._limits[4]), self._limits[2]), self._limits[3])
        return droplets

    def _level(self, background: float) -> float:
        return min(max(background, self.bounds.background[0]), self.bounds.background[1])


def _copied(found: Arrangement, born: npt.NDArray[np.bool_]) -> tuple[Arrangement, npt.NDArray[np.bool_]]:
    return Arrangement(found.droplets.copy(), found.background, found.residual.copy()), born.copy()


def mode(image: Floats) -> float:
    """The level that most pixels are near: the mean of the shortest interval that holds a quarter of them."""
    step = max(1, math.isqrt(image.size // SAMPLE))
    values = np.sort(image[::step, ::step], axis=None).astype(float)
    count = max(1, values.size // 4)
    widths = values[count - 1 :] - values[: values.size - count + 1]
    first = int(widths.argmin())
    return float(values[first : first + count].mean())
