"""A figure that a notebook shows."""

from io import BytesIO

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A matplotlib figure that notebooks show, also where nobody has loaded pyplot, which is what teaches them to."""

    def _repr_png_(self) -> bytes:
        """The figure as a PNG file, for IPython."""
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
