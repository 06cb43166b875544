"""An image to candidates: circles where droplets may be, with no judgement of what they are.

What enters proposes; what tells droplets from clutter is in recognition.
"""
