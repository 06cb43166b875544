"""Droplets as they look: pictures learnt from one image, and what comes of them for it and for others of its kind."""
