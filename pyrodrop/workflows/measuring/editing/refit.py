"""Droplets about an edit fitted again: those that share pixels with what is edited, and others as far as it matters."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.one_by_one.own_edges import edges_differ, with_own_edges
from pyrodrop.joint.priors import Normal, priors_of
from pyrodrop.joint.windowed.window_fit import Window, held_image, shape_prior_of, window_around
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.changes import Change, Refitted, change_of
from pyrodrop.workflows.measuring.editing.scene import Scene

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Those that meet what is edited are fitted again, and those that meet them; then others, as long as one that meets them
# has changed by more than its draws tell.
_FIRST_MEETINGS = 2
# So many times a drawn circle may go on from where it was held.
_STROKES = 3


@dataclass(frozen=True)
class Picture:
    """The image of a measurement, and what its model says of it before an edit.

    Attributes:
        channels: (C, H, W), float64. background, residual: of the model, (C, H, W).
        looked_at: pixels that were looked at and that still are, (H, W) each.
        scales: of the priors. noise: standard deviations, (C,). shape_sd: of the shared numbers, (S,).
        own_edges: whether the droplets have edges of their own.
        draws: how many there are of each droplet.
    """

    channels: Array
    background: Array
    residual: Array
    looked_at: tuple[Mask, Mask]
    scales: PriorScales
    noise: Array
    shape_sd: Array
    own_edges: bool
    draws: int


class Again(NamedTuple):
    """What came of a fit of some droplets, once as they were and once as they are.

    new: numbers in the scene of those that are there now, in the order of the fit ``now``; ``before`` is the other fit.
    stayed: numbers in the scene of those in both, and change: by how much they did. window: rows and columns of the
    image that were fitted. background: what it is there now, (C, h, w). residual: of the window, (C, h, w). found:
    where all droplets of the scene were found, those that a hand has drawn where that was nearer.
    """

    new: Indices
    before: Refitted
    now: Refitted
    stayed: Indices
    change: Change
    window: tuple[slice, slice]
    background: Array
    residual: Array
    found: Candidates


class After(NamedTuple):
    """What came of all such fits, one after the other: the fits, the droplets and what the model says of the image."""

    fits: list[Again]
    scene: Scene
    picture: Picture


def fit_again(scene: Scene, picture: Picture, going: Mask, coming: Mask) -> After:
    """Fit the droplets about edits: those that do not meet by themselves, and all together where it matters to all.

    Args:
        scene: all droplets, those that are drawn among them, M.
        picture: the image.
        going, coming: which of them are only there before and only after the edit, (M,) each.
    """
    edited = going | coming | scene.seen_at(picture.looked_at[0] & ~picture.looked_at[1])
    about = edited
    for _ in range(_FIRST_MEETINGS):
        about = scene.sharing_pixels(about)
    after, present = After([], scene, picture), ~coming
    for group in scene.groups_of(about):
        goes, comes = going & group, coming & group
        again = _fit_group(after.scene, after.picture, group, present, goes, comes)
        after = _advanced(after, again)
        present = present & ~goes | comes
    if _matters_to_all(scene, picture, after):
        everything = np.ones(len(edited), bool)
        again = _fit_of(scene, picture, everything, ~coming, going, coming)
        after = _advanced(After([], scene, picture), again)
    seen = picture.looked_at[1]
    return after._replace(picture=replace(after.picture, looked_at=(seen, seen)))


def _fit_group(scene: Scene, picture: Picture, free: Mask, present: Mask, going: Mask, coming: Mask) -> Again:
    """A fit of droplets that meet, and of those that meet them as long as one has changed by more than its draws tell;
    present: those that were there before, (M,).
    """
    while True:
        again = _fit_of(scene, picture, free, present, going, coming)
        matters = np.zeros(len(free), bool)
        matters[again.stayed] = again.change.matters(picture.draws)
        further = scene.sharing_pixels(matters) & present & ~free
        if not further.any():
            return again
        free = free | further


def _advanced(after: After, again: Again) -> After:
    """The droplets and the picture with what a fit has changed."""
    picture = after.picture
    background, residual = picture.background.copy(), picture.residual.copy()
    within = (slice(None), *again.window)
    background[within], residual[within] = again.background, again.residual
    picture = replace(picture, background=background, residual=residual, noise=again.now.fit.noise)
    scene = _with(after.scene, again.new, again.now.fit, again.window)
    return After([*after.fits, again], replace(scene, shape=again.now.fit.shape, found=again.found), picture)


def _matters_to_all(scene: Scene, picture: Picture, after: After) -> bool:
    """Whether what all droplets share changes by more than the draws of any of them tell.

    Every standard deviation is in proportion to the noise. A droplet that knows the shared numbers by itself to s
    moves by at most the part of its standard deviation that these numbers move of s; with n such droplets they are
    known to s / n^(1/2).
    """
    if (np.abs(np.log(after.picture.noise / picture.noise)) > (2 * picture.draws) ** -0.5).any():
        return True
    told = scene.information(picture.noise)
    number = told.sum() ** 2 / max(np.square(told).sum(), 1e-300)
    moved = sum(np.abs(again.now.fit.shape - again.before.fit.shape) / picture.shape_sd for again in after.fits)
    return bool(np.any(moved > np.sqrt(number / picture.draws)))


def _fit_of(scene: Scene, picture: Picture, free: Mask, present: Mask, going: Mask, coming: Mask) -> Again:
    """A fit of some droplets once as they were and once as they are, all others being held."""
    old, new = np.flatnonzero(free & present), np.flatnonzero(free & (present & ~going | coming))
    window = window_around(*scene.boxes(free & (present | coming)), picture.scales.spacing, picture.channels.shape[1:])
    within = (slice(None), *window)
    held = np.flatnonzero(present & ~free)
    near = held[_reaches(scene, held, window)]
    background = picture.background[within]
    image = held_image(background, scene.profile.name, picture.scales, scene.state_of(near), *window)
    told = scene.information(picture.noise)
    share = float(told[held].sum() / max(told[present].sum(), 1e-300))
    made: list[JointFit] = []
    windows: list[Window] = []
    begin = scene
    for looked_at, some, solutions in zip(picture.looked_at, (old, new), (0, 1), strict=True):
        windows.append(_window(scene, picture, looked_at, (image, background), window, share))
        fit = _fit_in(windows[-1], begin, some, solutions)
        begin = _with(begin, some, fit, window)
        for _ in range(_STROKES):
            # A hand may be further off than a network: a circle that wants to go on does so from where it is.
            off = some[fit.convergence.at_bounds & coming[some]]
            if not len(off):
                break
            begin = begin.found_where_it_is(off)
            fit = _fit_in(windows[-1], begin, some, solutions)
            begin = _with(begin, some, fit, window)
        made.append(fit)
    pixels = [each.pixels for each in windows]
    of_own = picture.own_edges and all(each.all_known for each in pixels)
    if of_own and all(edges_differ(fit, each).any() for fit, each in zip(made, pixels, strict=True)):
        made = [with_own_edges(fit, each) for fit, each in zip(made, pixels, strict=True)]
    refitted = []
    for each, fit, some in zip(windows, made, (old, new), strict=True):
        found = begin.found.those(some)
        moved = found._replace(x=found.x - each.left, y=found.y - each.top)
        refitted.append(Refitted.of(fit, moved, each.pixels.white_noise))
    residual = windows[1].residual(made[1])
    if picture.own_edges:  # which those that are held are not drawn with
        residual = picture.residual[within] + residual - windows[0].residual(made[0])
    stayed, in_old, in_new = np.intersect1d(old, new, return_indices=True)
    return Again(
        new,
        refitted[0],
        refitted[1],
        stayed,
        change_of(refitted[0], refitted[1], in_old, in_new),
        window,
        made[1].background.astype(np.float64),
        residual,
        begin.found,
    )


def _fit_in(window: Window, scene: Scene, some: Indices, solutions: int) -> JointFit:
    """A fit of some droplets of the scene in a window, from where they are, and not far from where they were found."""
    state = window.state(scene.x[some], scene.y[some], scene.r[some], scene.amplitude[:, some])
    found = scene.found.those(some)
    radii = found.radius / scene.profile.half_share
    origin = window.state(found.x, found.y, radii, np.zeros_like(state.amplitude))
    return window.fit(state, origin, solutions)


def _reaches(scene: Scene, some: Indices, window: tuple[slice, slice]) -> Mask:
    """Which of some droplets are seen in a window."""
    rows, columns = window
    across, down, reach = scene.x[some], scene.y[some], scene.reach[some]
    inside = (across + reach > columns.start) & (across - reach < columns.stop)
    return np.asarray(inside & (down + reach > rows.start) & (down - reach < rows.stop))


def _window(
    scene: Scene,
    picture: Picture,
    looked_at: Mask,
    held: tuple[Array, Array],
    window: tuple[slice, slice],
    share: float,
) -> Window:
    """The window as it is seen where is looked; held: what is held, with the background and it alone, (C, h, w)."""
    within = (slice(None), *window)
    seen = np.where(looked_at[window], picture.channels[within], np.nan)
    profile = scene.profile
    shared = priors_of(seen.shape, picture.scales, profile.name).shape
    prior = Normal(shared.mean, shared.sd)  # where it is of another family, the normal one of its middle and spread
    units = np.where(profile.log, scene.shape, 1.0)
    shape_prior = shape_prior_of(prior, profile.unconstrained(scene.shape), picture.shape_sd / units, share)
    squared = np.square(picture.residual) * looked_at
    total, inside = squared.sum((1, 2)), squared[within].sum((1, 2))
    before = (np.square(picture.residual) * picture.looked_at[0]).sum((1, 2))
    pixels = looked_at.sum() / picture.looked_at[0].sum()
    return Window(
        window[0].start,
        window[1].start,
        seen,
        held[1],
        held[0],
        profile.name,
        picture.scales,
        scene.shape,
        shape_prior,
        total - inside,
        before / np.square(picture.noise) * pixels,
    )


def _with(scene: Scene, some: Indices, fit: JointFit, window: tuple[slice, slice]) -> Scene:
    """The scene with some of its droplets where a fit of a window has them."""
    x, y, r, amplitude = (values.copy() for values in (scene.x, scene.y, scene.r, scene.amplitude))
    x[some], y[some], r[some] = fit.x + window[1].start, fit.y + window[0].start, fit.r
    amplitude[:, some] = fit.amplitude
    return replace(scene, x=x, y=y, r=r, amplitude=amplitude)
