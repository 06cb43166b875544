"""Samples compared: tables, figures and words of what their images say together."""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrodrop
from pyrodrop.results.page.comparison_text import comparison_text
from pyrodrop.results.statistics.distributions import SampleDistributions, sample_distributions
from pyrodrop.results.statistics.image_statistics import NUMBER, SampledImage
from pyrodrop.results.statistics.pooled import Difference, Interval, PooledSample, differences
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.file_writers import write_figure, write_table
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.tables.sample_tables import differences_table, distributions_table, images_table, samples_table
from pyrodrop.workflows.output_folder import open_folder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLES = ("samples.csv", "differences.csv", "images.csv", "distributions.csv")
WORDS = "words.txt"
FIGURES = ("distributions", "ratios")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Samples compared, as ``pyrodrop.compare`` returns them.

    Attributes:
        images_of: the images of each sample.
        pooled: what they say together, by sample, as posterior draws.
        warnings: what to be wary of, in words; empty where nothing is.
        seed: of the draws.
    """

    images_of: Mapping[str, Sequence[SampledImage]]
    pooled: Mapping[str, PooledSample]
    warnings: tuple[str, ...]
    seed: int = 0

    @property
    def unit(self) -> str:
        """Of lengths, "um" or "px"; of areas it is then mm2 or Mpx, millions of pixels."""
        return next(iter(self.pooled.values())).unit

    @property
    def samples(self) -> "pd.DataFrame":
        """One row a sample and statistic: its value with its 90 % interval, and how far images differ."""
        return samples_table(self.pooled.values())

    @property
    def differences(self) -> "pd.DataFrame":
        """One row a pair of samples and statistic: difference, ratio, and the probability that the later is larger."""
        return differences_table(self._differences, self.unit)

    @property
    def images(self) -> "pd.DataFrame":
        """One row an image, each size with the 90 % interval of that image alone."""
        return images_table(self.images_of)

    @property
    def words(self) -> str:
        """What was done and found, in sentences that can go into a paper."""
        return comparison_text(list(self.pooled.values()), self._differences)

    @cached_property
    def _differences(self) -> list[Difference]:
        pairs = itertools.combinations(self.pooled.values(), 2)
        return [difference for to, of in pairs for difference in differences(of, to)]

    @cached_property
    def distributions(self) -> SampleDistributions:
        """Shares of the droplets by diameter, all samples in the same bins."""
        return sample_distributions(self.images_of)

    def figures(self) -> "dict[str, Figure]":
        """By name: ``distributions`` side by side and, of several samples, ``ratios`` to the first."""
        from pyrodrop.results.figures import sample_figures

        drawn = {"distributions": sample_figures.distributions(self.distributions, self.pooled)}
        to_first = [d for d in self._differences if d.to == next(iter(self.pooled))]
        return drawn | ({"ratios": sample_figures.ratios(to_first)} if to_first else {})

    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` says: version, seed, unit, and by sample and pair the statistics."""
        return {
            "version": pyrodrop.__version__,
            "seed": self.seed,
            "unit": self.unit,
            "samples": {
                name: {
                    "images": sample.images,
                    "droplets": sample.droplets,
                    **{statistic: Interval.of(draws)._asdict() for statistic, draws in sample.values.items()},
                }
                for name, sample in self.pooled.items()
            },
            "differences": [
                {
                    "sample": d.of,
                    "compared_with": d.to,
                    "statistic": d.statistic,
                    "ratio": d.ratio._asdict(),
                    "probability_larger": d.probability_larger,
                }
                for d in self._differences
            ],
            "warnings": list(self.warnings),
        }

    def save(
        self,
        folder: str | os.PathLike[str],
        figures: Sequence[str] = ("png",),
        *,
        more: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write tables, figures, words and ``summary.json`` into a folder; return the folder.

        Args:
            folder: made where it is missing. What an earlier comparison wrote there is taken away.
            figures: formats of the figures: png, svg, pdf.
            more: what else the summary is to say.

        Raises:
            SettingError: if the folder cannot be written to.
        """
        path = open_folder(folder)
        drawn = self.figures()
        pictures = [f"{name}.{suffix}" for name in FIGURES for suffix in figures]
        begin_run(path, [*TABLES, WORDS, *pictures])
        for name, table in zip(TABLES, self._tables(), strict=True):
            write_table(table, path / name)
        atomic_write(path / WORDS, lambda temporary: temporary.write_text(self.words + "\n", encoding="utf-8"))
        for name, figure in drawn.items():
            for suffix in figures:
                write_figure(figure, path / f"{name}.{suffix}")
        finish_run(path, self.summary() | dict(more or {}))
        return path

    def _tables(self) -> "tuple[pd.DataFrame, ...]":
        return self.samples, self.differences, self.images, distributions_table(self.distributions)

    def __repr__(self) -> str:
        lines = [f"Comparison of {len(self.pooled)} sample{'s' if len(self.pooled) > 1 else ''}"]
        for name, sample in self.pooled.items():
            sauter = sample.values.get("d_3_2")
            middle, low, high = Interval.of(sample.values[NUMBER] if sauter is None else sauter)
            what = f"{NUMBER} " if sauter is None else "d_3_2 "
            lines.append(
                f"  {name}: {sample.droplets} droplets in {sample.images} images, {what}{middle:.4g} "
                f"({low:.4g} to {high:.4g})"
            )
        doubts = f"{len(self.warnings)} warnings, see .warnings" if self.warnings else "no warnings"
        return "\n".join([*lines, f"  {doubts}"])

    def _repr_html_(self) -> str:
        return str(self.samples.to_html(index=False, float_format="{:.4g}".format))
