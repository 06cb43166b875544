"""Commands that take a stack of frames: read, follow, write a folder of results."""
