"""One image larger than memory: cut into tiles, each measured with what lies around it, and put together again.

How a tile's pixels are measured is known by ``pyrodrop.workflows.measuring`` alone; here is what makes it a tile.
"""
