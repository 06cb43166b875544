"""``measure`` and what it returns, parts of a large image, and known droplets put into an image and looked for."""
