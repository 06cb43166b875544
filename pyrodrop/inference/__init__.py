"""Any Pyro model in, a posterior out: stochastic variational inference, NUTS and Laplace over one flat log density.

Nothing here knows of droplets, images or files, and nothing here imports from another room of pyrodrop.
"""
