"""The report: one HTML file for an image and one for a batch, and what a notebook shows.

What may enter: what puts results into words and markup. A page fetches nothing and needs nothing beside it.
"""
