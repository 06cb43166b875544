"""A measurement that a person corrects: what is said, the droplets that are fitted again, and what comes of it."""
