"""Droplets: where they lie, how they look, painting them, and how well each can be seen."""
