"""Compiled sums of the joint fit over pixels: products of droplets' derivatives where two of them meet.

``windows`` does so for every profile, pixel by pixel; ``separable`` for Gaussians, along two lines. Nothing but loops
that Numba compiles enters.
"""
