"""The kernel of Gaussians on the CPU: bands of rows, compiled by Numba, worked off by threads that need not wait.

``operators`` is the door: a call's tensors in, an image or a gradient out. Behind it, from the outside in: ``call``,
``sweep``, ``visit`` and ``lanes``. Nothing but the CPU kernel enters.
"""
