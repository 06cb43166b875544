"""Draws the picture of the README: a micrograph of known truth, what is fitted, and what is found.

python docs/picture.py
"""

from pathlib import Path

import pyrodrop
from pyrodrop.images.simulate import COLOUR_CHANNEL, embedded
from pyrodrop.results import plots

STEPS = 1_000


def main() -> None:
    image, truth = embedded()
    channel = image.channel(COLOUR_CHANNEL)
    fit = pyrodrop.fit(channel, n_droplets=len(truth), error_scale=0.02, steps=STEPS, start="peaks")
    table = fit.table(image.pixel_size_um)

    figure, axes = plots.figure(1, 3, panel=(4.2, 3.4))
    plots.image_panel(axes[0], image.pixels, "a micrograph")
    plots.image_panel(axes[1], fit.sample(1)["val"][0], f"the model's {COLOUR_CHANNEL}", colour_bar=False)
    plots.overlay(axes[2], image.pixels, table)
    for panel in axes:
        panel.set_axis_off()
    figure.savefig(Path(__file__).parent / "_static" / "pyrodrop.png", dpi=110)


if __name__ == "__main__":
    main()
