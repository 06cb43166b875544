"""Light, sensor and file: what happens to an image before and after its droplets and clutter are in it."""
