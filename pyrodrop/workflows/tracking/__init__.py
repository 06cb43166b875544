"""Droplets through the frames of a stack: which are the same, what became of them, and how fast they change.

What may enter: linking detections into paths, and what is made of the paths. How a path moves is said by the model
``pyrodrop.models.paths``; how one frame is measured by ``pyrodrop.workflows.measuring``.
"""
