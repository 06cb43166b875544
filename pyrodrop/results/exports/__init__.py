"""Results for other programs: regions for ImageJ, label images, ArviZ.

What may enter: a writer for the format of another program.
"""
