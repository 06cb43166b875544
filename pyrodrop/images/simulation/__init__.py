"""Images with a known truth, for tests, examples and calibration.

What may enter: what draws droplets from the priors of ``pyrodrop.models`` and makes an image of them.
"""
