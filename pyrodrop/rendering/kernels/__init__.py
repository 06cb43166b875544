"""The ways to draw droplets: the definition, every pixel and every droplet, and the faster ones held against it."""
