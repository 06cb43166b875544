"""What all tiles share, chosen from a few of them before any is measured: profile, scales of the priors and halo."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from tqdm import tqdm

from pyrodrop.workflows.measuring.parts import (
    Look,
    PriorScales,
    look_at,
    scales_as_dict,
    scales_of,
    scales_of_dict,
)
from pyrodrop.workflows.tiles.grid import Tile
from pyrodrop.workflows.tiles.large_image import LargeImage, LevelRange
from pyrodrop.workflows.tiles.proposals_file import candidates_in
from pyrodrop.workflows.tiles.survey import Survey
from pyrodrop.workflows.tiles.workers import Workers

# So many tiles are looked at, with a halo of so many px.
_SAMPLES, _FIRST_HALO = 4, 64
# The halo is so many times as wide as all but a hundredth of the droplets that were seen, as wide as the largest of
# them, and at least so many px. With once and 32, droplets that the halo's own border cuts moved others at a seam by
# up to 0.06 px and once left a trace that was taken for a droplet. One faint broad thing that is no droplet is not to
# widen the halo of every tile; where a tile has one of its own that is wider than its halo, it widens that.
_WIDTHS, _NEARLY_ALL, _LEAST_HALO = 2, 0.99, 64


class Plan(NamedTuple):
    """What all tiles share, so that two tiles say the same of what both see.

    profile: of a droplet. evidence: log evidence of each profile tried, added up over the sampled tiles. scales: of
    the priors. halo: px that a tile looks beyond its own on each side. levels: what is 0 and 1.
    """

    profile: str
    evidence: dict[str, float]
    scales: PriorScales
    halo: int
    levels: LevelRange

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "profile": self.profile,
            "evidence": self.evidence,
            "scales": scales_as_dict(self.scales),
            "halo": self.halo,
            "levels": list(self.levels),
        }

    @classmethod
    def of_dict(cls, stored: dict[str, Any]) -> "Plan":
        """The plan that ``as_dict`` wrote."""
        return cls(
            stored["profile"],
            stored["evidence"],
            scales_of_dict(stored["scales"]),
            stored["halo"],
            LevelRange(*stored["levels"]),
        )


def plan_tiles(
    workers: Workers,
    tiles: list[Tile],
    survey: Survey,
    channel: str,
    profiles: tuple[str, ...],
    halo_px: int | None,
    folder: Path,
    progress: bool = False,
) -> Plan:
    """Look closely at a few tiles, from the one of median contrast to the busiest, and choose what all are to share.

    The profile is that with the greatest evidence over them; for the scales see ``parts.scales_of``, for the halo
    ``halo_of``. The network's candidates are those in the folder (``proposals_file``). ``progress`` shows it on
    standard error.
    """
    order = np.argsort(survey.contrast, kind="stable")
    places = np.linspace((len(tiles) - 1) / 2, len(tiles) - 1, min(_SAMPLES, len(tiles)))
    chosen = sorted({int(order[round(place)]) for place in places})
    halo = _FIRST_HALO if halo_px is None else halo_px
    asked = [(tiles[k], halo, survey.levels, channel, profiles, folder) for k in chosen]
    done = tqdm(workers.each(look_at_tile, asked), "plan", len(asked), unit="tile", disable=not progress)
    # In the order of the tiles, whichever was ready first.
    looks = [look for _, look in sorted(done, key=lambda numbered: numbered[0])]
    evidence = {name: float(sum(look.evidence[name] for look in looks)) for name in profiles}
    profile = max(evidence, key=lambda name: evidence[name])
    radii = np.concatenate([look.radii for look in looks])
    return Plan(
        profile,
        evidence,
        scales_of(looks, max(tiles[0].box.size)),
        halo_of(radii) if halo_px is None else halo_px,
        survey.levels,
    )


def look_at_tile(
    image: LargeImage, tile: Tile, halo: int, levels: LevelRange, channel: str, profiles: tuple[str, ...], folder: Path
) -> Look:
    """Recognise the droplets of a tile with its halo, of which only the network's candidates are known."""
    box = tile.box.widened(halo, image.size)
    pixels = image.channel(box, levels, channel).double().numpy()
    return look_at(pixels, profiles, candidates_in(folder, box))


def halo_of(radii: Float[ndarray, " n"]) -> int:
    """The width of the halo in px for droplets of these radii in px: see ``_WIDTHS``."""
    if not len(radii):
        return _LEAST_HALO
    widest = max(2 * float(radii.max()), _WIDTHS * 2 * float(np.quantile(radii, _NEARLY_ALL)))
    return max(_LEAST_HALO, int(np.ceil(widest)))
