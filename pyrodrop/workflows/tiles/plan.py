"""What is settled before the tiles are measured, from a few of them: profile, scales, population and halo."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pyrodrop.detection.population import Population, pooled
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.recognition.recognise import Known, Recognised, recognise
from pyrodrop.workflows.tiles.grid import Box, Tile
from pyrodrop.workflows.tiles.large_image import Plane
from pyrodrop.workflows.tiles.survey import Survey
from pyrodrop.workflows.tiles.workers import Workers

# So many tiles are looked at, with a halo of so many px.
_SAMPLES, _FIRST_HALO = 4, 64
# The halo is so many times as wide as all but a hundredth of the droplets that were seen, as wide as the largest of
# them, and at least so many px. With once and 32, droplets that the halo's own border cuts moved one at a seam by up
# to 0.06 px and once left a trace that was taken for a droplet. One faint broad thing that is no droplet is not to
# widen the halo of every tile; where a tile has one of its own that is wider than its halo, it widens that.
_WIDTHS, _NEARLY_ALL, _LEAST_HALO = 2, 0.99, 64
# Of the population so many circles are remembered; more say nothing new.
_REMEMBERED = 4_000


class Plan(NamedTuple):
    """What all tiles share, so that two tiles say the same of what both see.

    profile: of a droplet. evidence: log evidence of each profile tried, added up over the sampled tiles. known: scales
    and population. halo: px that a tile looks beyond its own on each side. white: the level that is 1.
    """

    profile: str
    evidence: dict[str, float]
    known: Known
    halo: int
    white: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        scales = {name: np.asarray(value).tolist() for name, value in vars(self.known.scales).items()}
        population = {name: value.tolist() for name, value in self.known.population._asdict().items()}
        return {
            "profile": self.profile,
            "evidence": self.evidence,
            "scales": scales,
            "population": population,
            "halo": self.halo,
            "white": self.white,
        }

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> "Plan":
        """The plan that ``as_dict`` wrote."""
        scales: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in found["scales"].items()}
        features = np.array(found["population"]["features"], dtype=np.float64).reshape(-1, 2)
        known = Known(PriorScales(**scales), Population(features, np.array(found["population"]["worth"])))
        return cls(found["profile"], found["evidence"], known, found["halo"], found["white"])


class Look(NamedTuple):
    """What a close look at a tile has shown.

    evidence: log evidence of each profile. scales: of the priors. radii: of the droplets, px, (n,). population: of its
    circles.
    """

    evidence: dict[str, float]
    scales: PriorScales
    radii: NDArray[np.float64]
    population: Population


def planned(
    workers: Workers,
    tiles: list[Tile],
    seen: Survey,
    channel: str,
    profiles: tuple[str, ...],
    halo_px: int | None,
    progress: bool = False,
) -> Plan:
    """Look closely at a few tiles, from the one of median contrast to the busiest, and settle what all are to share.

    The profile is that with the greatest evidence over them; the scales of the priors are the widest of theirs; the
    population, which tells droplets from clutter in tiles that hold few or none, is theirs taken together. For the
    halo see ``halo_of``. ``progress`` shows it on standard error.
    """
    order = np.argsort(seen.contrast, kind="stable")
    places = np.linspace((len(tiles) - 1) / 2, len(tiles) - 1, min(_SAMPLES, len(tiles)))
    chosen = sorted({int(order[round(place)]) for place in places})
    halo = _FIRST_HALO if halo_px is None else halo_px
    asked = [(tiles[k].box.widened(halo, tiles[k].size), seen.white, channel, profiles) for k in chosen]
    done = tqdm(workers.each(look_at, asked), "plan", len(asked), unit="tile", disable=not progress)
    # In the order of the tiles, whichever was ready first.
    looks = [look for _, look in sorted(done, key=lambda one: one[0])]
    evidence = {name: float(sum(one.evidence[name] for one in looks)) for name in profiles}
    profile = max(evidence, key=lambda name: evidence[name])
    radii = np.concatenate([one.radii for one in looks])
    population = pooled([one.population for one in looks])
    kept = np.linspace(0, len(population.features) - 1, min(_REMEMBERED, len(population.features))).astype(int)
    known = Known(
        _shared([one.scales for one in looks], float(np.median(radii)) if len(radii) else 8.0, max(tiles[0].box.size)),
        population._replace(features=population.features[kept]),
    )
    return Plan(profile, evidence, known, halo_of(radii) if halo_px is None else halo_px, seen.white)


def look_at(plane: Plane, box: Box, white: float, channel: str, profiles: tuple[str, ...]) -> Look:
    """Recognise the droplets of a part of an image that nothing is known of yet."""
    pixels = plane.channel(box, white, channel).double().numpy()
    seen = recognise(pixels[None], pixels, profiles)
    return Look(seen.evidence, seen.fit.scales, _radii(seen), seen.population)


def halo_of(radii: NDArray[np.float64]) -> int:
    """The width of the halo in px for droplets of these radii, (n,): see ``_WIDTHS``."""
    if not len(radii):
        return _LEAST_HALO
    widest = max(2 * float(radii.max()), _WIDTHS * 2 * float(np.quantile(radii, _NEARLY_ALL)))
    return max(_LEAST_HALO, int(np.ceil(widest)))


def _radii(looked: Recognised) -> NDArray[np.float64]:
    """Radii of those of the droplets that are there, in px: the larger of r and that of half height, (n,)."""
    there = looked.presence >= 0.5
    return np.asarray(np.maximum(looked.fit.r, looked.fit.half_radius)[there])


def _shared(scales: list[PriorScales], radius_px: float, tile_px: int) -> PriorScales:
    """The scales of the whole: wide enough for each part."""
    parts = {
        name: np.stack([getattr(one, name) for one in scales]) for name in ("amplitude", "level", "spread", "noise")
    }
    # A background as stiff as that of an image of a tile's size; see ``image_scales``.
    spacing = image_scales(np.zeros((1, tile_px, 8)), radius_px).spacing
    return PriorScales(
        parts["amplitude"].max(0),
        np.median(parts["level"], 0),
        parts["spread"].max(0),
        np.median(parts["noise"], 0),
        radius_px,
        spacing,
    )
