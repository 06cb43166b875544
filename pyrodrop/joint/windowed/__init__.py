"""Some droplets of an image fitted again in a window of it, while all the others are held where they are."""
