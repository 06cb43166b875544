"""Whether another channel of the image would give another answer, by what the network alone counts in each.

Like is compared with like: the network's count in another channel with that in the channel that was measured. Since the
fit that follows may know better than the network, the count of the fit is taken for as good an answer: another channel
says something else where its interval lies beyond both.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# What is kept of a count: the ends of its 90 % interval, and its median.
INTERVAL = (0.05, 0.5, 0.95)


class OtherChannels(NamedTuple):
    """The network's counts in other channels: by name the 5 % quantile, the median and the 95 % quantile.

    counts: in all channels that were looked at. more, fewer: names of those that have more, or fewer, than both here
    and fitted say; here: the network's count in what was measured, in the same form.
    """

    counts: Mapping[str, tuple[int, int, int]]
    here: tuple[int, int, int]
    more: tuple[str, ...]
    fewer: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """In words, which channels would give another answer; empty where none would."""
        different = self.more + self.fewer
        if not different:
            return ()
        named = ", ".join(f"{_interval(self.counts[name])} in {name}" for name in different)
        would = "another channel" if len(different) == 1 else "other channels"
        return (
            f"{would} would give another answer: the network alone sees {named}, and {_interval(self.here)} in what "
            "was measured; look at all of them with pyrodrop channels, and choose one with --channel",
        )

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For summary.json: by channel its count."""
        return {name: {"median": middle, "q05": low, "q95": high} for name, (low, middle, high) in self.counts.items()}


def other_channels_of(counts: Mapping[str, Sequence[int]], here: Sequence[int], fitted: Sequence[int]) -> OtherChannels:
    """Which channels would give another answer.

    Args:
        counts: by the name of each other channel the quantiles ``INTERVAL`` of the network's count there.
        here, fitted: those of the network's count in what was measured, and of the count after the fit.
    """
    least, most = min(here[0], fitted[0]), max(here[2], fitted[2])
    return OtherChannels(
        {name: (count[0], count[1], count[2]) for name, count in counts.items()},
        (here[0], here[1], here[2]),
        tuple(name for name, count in counts.items() if count[0] > most),
        tuple(name for name, count in counts.items() if count[2] < least),
    )


def _interval(count: Sequence[int]) -> str:
    low, _, high = count
    return f"{low} to {high}" if low < high else f"{low}"
