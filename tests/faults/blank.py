"""Imported by a process that is killed or starved of disk, and by the workers of one: its figures are left blank."""

from blank_figures import blank
from matplotlib.figure import Figure

Figure.savefig = blank
