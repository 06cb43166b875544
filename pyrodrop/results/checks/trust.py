"""How far a count is to be trusted, in a word: what a summary and a page of results begin with.

    none         nothing speaks for droplets: their likeliest number is 0
    not reliable most of what looks like a droplet is none (``efficiency``), or there may well be more than twice as
                 many as are counted: the number is a guess
    look         an image of the model would hardly be fitted as badly (the predictive check's probability is under
                 ``ALARM``), or something else is to be wary of that changes what is counted
    good         none of these

The model's own images are called "look" by the check as often as ``ALARM`` says.
"""

from typing import NamedTuple

ALARM = 0.05
_TOO_MANY = 2


class Trust(NamedTuple):
    """How far a result is to be trusted.

    level: "good", "look", "not reliable" or "none". because: the reason, empty where it is good. p_value: that an image
    of the model is fitted no better, None where it was not asked.
    """

    level: str
    because: str
    p_value: float | None

    @property
    def sentence(self) -> str:
        """What a result begins with."""
        begin = {
            "good": "good" if self.p_value is None else "good: the model explains the image",
            "look": "look at the overlay",
            "not reliable": "the count is not reliable",
            "none": "no evidence of droplets",
        }[self.level]
        joint = {"look": ": ", "not reliable": " because, ", "none": "; "}.get(self.level, "")
        return begin + joint + self.because if self.because else begin

    def as_dict(self) -> dict[str, object]:
        """For summary.json."""
        return {"level": self.level, "sentence": self.sentence, "p_value": self.p_value}


def trust_of(
    n_droplets: int,
    most: int,
    efficiency: tuple[str, ...],
    others: tuple[str, ...] = (),
    rings: float | None = None,
    neighbours: float | None = None,
) -> Trust:
    """How far a result is to be trusted.

    Args:
        n_droplets, most: the median of the count, and its 95 % quantile.
        efficiency: what is said of parts in which most of what looks like a droplet is none; empty where there are
            none.
        others: what else changes what is counted; of several the first is named.
        rings, neighbours: the probabilities of the predictive check; None where it was not made.
    """
    both = [p for p in (rings, neighbours) if p is not None]
    p_value = min(1.0, len(both) * min(both)) if both else None
    alarm = p_value is not None and p_value < ALARM
    of_check = ""
    if alarm and rings is not None and rings <= min(both):
        of_check = "droplets are not as their profile says"
    elif alarm:
        of_check = "the image has structure that the model has no word for"
    if n_droplets == 0:
        return Trust("none", of_check, p_value)
    if efficiency:
        return Trust("not reliable", efficiency[0], p_value)
    if most > _TOO_MANY * n_droplets:
        more = f"more than twice as many as are counted: up to {most} things look a little like droplets"
        return Trust("not reliable", f"there may be {more}", p_value)
    if alarm or others:
        return Trust("look", of_check or others[0], p_value)
    return Trust("good", "", p_value)
