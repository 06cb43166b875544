"""Edits of a measurement: what a person says is so, and all else follows from what the image then says."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.joint.pyro_sites import background_of
from pyrodrop.joint.windowed.window_fit import control_points
from pyrodrop.models.assumed.noise_families import NORMAL
from pyrodrop.models.support import in_image
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.changes import changed_presence, moved_draws, new_draws
from pyrodrop.recognition.completion import LEAST
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, FoundDroplets, MeasuredImage
from pyrodrop.workflows.measuring.editing.plan import Plan, planned
from pyrodrop.workflows.measuring.editing.record import Edit
from pyrodrop.workflows.measuring.editing.refit import After, Again, Picture, fit_again
from pyrodrop.workflows.measuring.editing.request import Request, check_request
from pyrodrop.workflows.measuring.editing.scene import Scene
from pyrodrop.workflows.measuring.looked_at import checked_mask
from pyrodrop.workflows.measuring.reported import in_order, unfitted_in
from pyrodrop.workflows.settings import SettingError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Edited(NamedTuple):
    """The parts of a measurement that edits change."""

    image: MeasuredImage
    droplets: CandidateDroplets
    fitted: FittedModel
    edits: tuple[Edit, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in px."""
        return self.image.channels.shape[1], self.image.channels.shape[2]

    @property
    def looked_at(self) -> Mask:
        """Pixels that are, (H, W)."""
        return np.ones(self.size, bool) if self.image.looked_at is None else self.image.looked_at.numpy()

    @property
    def background(self) -> Array:
        """Of the model, (C, H, W)."""
        return background_of(self.fitted.sites, self.size, self.fitted.scales.spacing).numpy()


def edited(
    image: MeasuredImage,
    droplets: CandidateDroplets,
    fitted: FittedModel,
    edits: tuple[Edit, ...],
    request: Request,
    seed: int,
) -> Edited:
    """A measurement after edits: a person's word is evidence, and those that meet what is edited are fitted again.

    What is removed is not there; what is added or kept is there, with presence 1. Droplets that share pixels with
    what is edited are fitted jointly once as they were and once as they are, and so are those that share pixels with
    them, as long as one of them changes by more than the draws tell. By the difference of the two fits draws and
    presences are changed (``recognition.changes``); all others keep their numbers.

    Args:
        image, droplets, fitted, edits: of the measurement.
        request: the edits.
        seed: of the draws of new droplets.

    Raises:
        SettingError: ids that no droplet has, circles out of the image, a mask of another shape, or a measurement from
            before edits were possible.
    """
    before, found = Edited(image, droplets, fitted, edits), fitted.found
    if fitted.scales.family != NORMAL:
        raise SettingError(
            f"the measurement has {fitted.scales.family} noise, in which droplets are not fitted again yet; measure "
            "with normal noise to edit, or mask the pixels that are far off"
        )
    if found is None:
        raise SettingError(
            "the measurement is from a version of pyrodrop that did not note where the droplets were found; measure "
            "the image again, and edit that"
        )
    looked_at = before.looked_at
    if request.mask is not None:
        mask = checked_mask(request.mask, before.size, looked_at)
        looked_at = np.ones(before.size, bool) if mask is None else mask
    check_request(request, droplets.ids.numpy(), looked_at)
    plan = planned(droplets, edits, request, int(before.looked_at.sum() - looked_at.sum()))
    if not plan.edits:
        return before
    x, y, radius = found.circles.T.numpy()
    scene = Scene.of(fitted, Candidates(x, y, radius, found.proposed.numpy(), found.sd.numpy()))
    number = len(scene.x)
    scene = scene.and_circles(np.array(plan.circles, np.float64).reshape(-1, 3))
    going = np.zeros(len(scene.x), bool)
    going[plan.going] = True
    coming = np.arange(len(going)) >= number
    after = fit_again(scene, _picture(before, found, looked_at), going, coming)
    return _assembled(before, request, plan, after, going, seed + len(edits))


def _picture(before: Edited, found: FoundDroplets, looked_at: Mask) -> Picture:
    fitted = before.fitted
    return Picture(
        before.image.channels.double().numpy(),
        before.background,
        fitted.residual.double().numpy(),
        (before.looked_at, looked_at),
        fitted.scales,
        fitted.sites["noise"].numpy(),
        fitted.shape_sd.double().numpy(),
        found.own_edges,
        len(before.droplets.draws["x_px"]),
    )


def _assembled(before: Edited, request: Request, plan: Plan, after: After, going: Mask, seed: int) -> Edited:
    """The measurement with what was fitted again in the place of what was."""
    droplets, size, looked_at = before.droplets, before.size, after.picture.looked_at[1]
    n, total = len(droplets.presence), len(going)
    old_total = total - len(plan.circles)
    drawn = {name: _widened(values.double().numpy(), total) for name, values in droplets.draws.items()}
    presence, at_bounds, decided = np.zeros(total), np.zeros(total, bool), np.zeros(total, bool)
    presence[:n] = droplets.presence.double().numpy()
    at_bounds[:n], decided[:n] = droplets.at_bounds.numpy(), droplets.decided.numpy()
    ids = np.full(total, -1)
    ids[:n], ids[old_total:] = droplets.ids.numpy(), plan.ids
    for again in after.fits:
        _change(drawn, presence, again, (n, old_total), seed)
        at_bounds[again.new] = again.now.fit.convergence.at_bounds
    decided[np.isin(ids, request.keep) & (ids >= 0)] = True
    decided[old_total:] = True
    presence[decided] = 1.0
    x, y = (drawn[name].mean(0) for name in ("x_px", "y_px"))
    row, column = (np.clip(np.round(v).astype(int), 0, s - 1) for v, s in zip((y, x), size, strict=True))
    # A droplet that a person has drawn is of this image, wherever beyond its border the fit puts the centre.
    in_sight = (in_image(x, y, size) | decided) & looked_at[row, column]
    candidate = (ids >= 0) & ~going & in_sight & (presence >= LEAST)
    unfitted = unfitted_in(droplets).share(looked_at.sum() / max(before.looked_at.sum(), 1))
    order = in_order(x, y, presence, candidate, unfitted)
    order = order[~going[order]]
    kept = order[: int(candidate.sum())]
    return Edited(
        before.image._replace(looked_at=None if looked_at.all() else torch.from_numpy(looked_at)),
        CandidateDroplets(
            {name: torch.from_numpy(values[..., kept].astype(np.float32)) for name, values in drawn.items()},
            torch.from_numpy(presence[kept]),
            torch.from_numpy(at_bounds[kept]),
            torch.from_numpy(ids[kept]),
            torch.from_numpy(decided[kept]),
            torch.tensor([float(unfitted.number), unfitted.expected], dtype=torch.float64),
        ),
        _fitted(before, after, order),
        (*before.edits, *plan.edits),
    )


def _change(drawn: dict[str, Array], presence: Array, again: Again, numbers: tuple[int, int], seed: int) -> None:
    """Change draws, (draws, ..., M), and presences, (M,), in place: of those that change by more than the draws tell,
    and of the new ones. numbers: of the candidates, which come first, and of all droplets that are not new.
    """
    of_candidates = again.stayed < numbers[0]
    stayed, change = again.stayed[of_candidates], again.change.those(of_candidates)
    presence[stayed] = changed_presence(presence[stayed], change.log_odds)
    matters = change.matters(len(drawn["x_px"]))
    rows, columns = again.window
    of_window = {"x_px": columns.start, "y_px": rows.start}
    old = {name: values[..., stayed[matters]] - of_window.get(name, 0) for name, values in drawn.items()}
    moved = moved_draws(old, change.those(matters))
    for name, values in drawn.items():
        values[..., stayed[matters]] = moved[name] + of_window.get(name, 0)
    anew = np.flatnonzero(again.new >= numbers[1])
    if len(anew):
        new = new_draws(again.now, anew, len(drawn["x_px"]), seed)
        for name, values in drawn.items():
            values[..., again.new[anew]] = new[name] + of_window.get(name, 0)


def _fitted(before: Edited, after: After, order: NDArray[np.intp]) -> FittedModel:
    """The model after the fits, its droplets in this order."""
    fitted, found = before.fitted, before.fitted.found
    if not after.fits:
        return fitted._replace(
            sites={name: _ordered(name, values, order) for name, values in fitted.sites.items()},
            found=FoundDroplets.of(after.scene.found.those(order), found is not None and found.own_edges),
        )
    residual = torch.from_numpy(after.picture.residual.astype(np.float32))
    squares = [
        (torch.square(each.double()) * torch.from_numpy(where)).sum((1, 2)) / where.sum()
        for each, where in ((fitted.residual, before.looked_at), (residual, after.picture.looked_at[1]))
    ]
    shape_sd = fitted.shape_sd
    for again in after.fits:
        earlier, now = (each.fit.posterior.shape_sd for each in (again.before, again.now))
        shape_sd = shape_sd * torch.from_numpy(now / earlier)
    return fitted._replace(
        sites={name: _ordered(name, values, order) for name, values in _sites(before, after).items()},
        shape_sd=shape_sd,
        residual=residual,
        reduced_chi_square=fitted.reduced_chi_square * squares[1] / torch.clamp(squares[0], min=1e-300),
        found=FoundDroplets.of(after.scene.found.those(order), found is not None and found.own_edges),
    )


def _sites(before: Edited, after: After) -> dict[str, torch.Tensor]:
    """Values of the sites after the fits, of all droplets of the scene in their order."""
    sites, scene, picture = before.fitted.sites, after.scene, after.picture
    change = picture.background - before.background
    made = {"x": scene.x, "y": scene.y, "r": scene.r, "amplitude": scene.amplitude, "noise": picture.noise}
    made["bg"] = sites["bg"].numpy() + control_points(change, picture.scales.spacing)
    place = 0
    for parameter in scene.profile.parameters:
        made[parameter.name] = scene.shape[place : place + parameter.size].reshape(sites[parameter.name].shape)
        place += parameter.size
    return {name: torch.from_numpy(np.array(value, np.float64)) for name, value in made.items()}


def _widened(values: Array, total: int) -> Array:
    """Draws of N droplets with room for those after them."""
    wider = np.zeros((*values.shape[:-1], total))
    wider[..., : values.shape[-1]] = values
    return wider


def _ordered(name: str, values: torch.Tensor, order: NDArray[np.intp]) -> torch.Tensor:
    return values[..., torch.from_numpy(order)] if name in ("x", "y", "r", "amplitude") else values
