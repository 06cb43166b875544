"""Many images, on Dask: one job done to each, nothing done twice, and one table of all.

The jobs are known by name only (``jobs``), so that what keeps the books imports nothing that computes.
"""
