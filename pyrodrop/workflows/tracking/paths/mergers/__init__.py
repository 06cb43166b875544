"""Droplets that become one, or two: only what tells that of paths that are linked may enter."""
