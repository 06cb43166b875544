"""From a file to numbers with a known white: one module a format, and what all formats share.

What may enter: the reader of a format, and what is read beside the pixels: frames, pixel size, level of white. A file
that would be read wrongly is refused with an ``ImageError`` of one line.
"""
