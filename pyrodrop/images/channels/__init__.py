"""From an image to the channel that is measured: colour conversions, and the check of an array given directly.

What may enter: anything that makes or checks a plane (H, W) out of pixels. Nothing here reads a file.
"""
