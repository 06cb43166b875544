"""Droplets as they look, fitted jointly: centres, radii, weights, shared pictures, background, by torch on any device.

What comes in are circles and an image; what goes out is the mode of ``models.appearance``, its curvature and evidence.
"""
