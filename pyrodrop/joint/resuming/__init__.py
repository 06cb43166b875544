"""How a recognition that was killed goes on: what has been worked out is asked for by what it is worked out from.

Where it is kept is nothing of this room's.
"""
