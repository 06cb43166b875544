"""What is raised when an image, a channel or a scale cannot be used."""


class ImageError(ValueError):
    """An image that cannot be read or used: one line on what was given, what was expected, what to do."""
