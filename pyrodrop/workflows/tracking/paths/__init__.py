"""Detections to paths: the process that is learnt, links and their probabilities, mergers, and paths as smooth curves.

What may enter: what says which detections are one droplet, and where that was. It knows tables, and no images.
"""
