"""pyrodrop reads droplets out of microscope images with honest probability."""
