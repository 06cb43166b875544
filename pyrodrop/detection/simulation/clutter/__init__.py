"""What is in images and is no droplet: walls, patterns, fibres, lettering, dirt."""
