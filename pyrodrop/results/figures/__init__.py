"""Figures with matplotlib: one function each, which takes axes and returns them.

What may enter: a figure of tables, statistics, checks or images. No global state of matplotlib is touched.
"""
