"""The network that proposes circles: what it sees, its layers, its cells, and how cells become circles.

Everything here is needed to use the network; what is needed to train it lives in `learning`.
"""
