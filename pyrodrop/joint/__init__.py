"""All droplets of an image fitted at once, with background, noise and the numbers that they share; its posterior.

What enters works for every profile and takes its priors from the model.
"""
