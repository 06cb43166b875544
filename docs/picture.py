"""Draws the picture of the README: a micrograph of known truth, the droplets measured, and their sizes.

python docs/picture.py
"""

from pathlib import Path

import pyrodrop
from pyrodrop.images.simulation.simulate import COLOUR_CHANNEL, embedded
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.histogram import size_histogram


def main() -> None:
    image, _ = embedded()
    made = pyrodrop.measure(image.channel(COLOUR_CHANNEL), pixel_size_um=image.pixel_size_um)
    diameters = 2 * made.draws["radius_px"].double().numpy()

    figure, axes = plots.figure(1, 3, panel=(3.6, 2.9))
    plots.image_panel(axes[0], image.pixels, "a micrograph")
    plots.overlay(axes[1], image.pixels, made.table[made.table["presence"] >= 0.5])
    binned = size_histogram(diameters, made.presence.numpy(), pixel_size_um=image.pixel_size_um)
    size_plots.histogram(axes[2], binned, made.sizes)
    axes[2].set_title("their sizes")
    for panel in axes[:2]:
        panel.set_axis_off()
    figure.savefig(Path(__file__).parent / "_static" / "pyrodrop.png", dpi=150)


if __name__ == "__main__":
    main()
