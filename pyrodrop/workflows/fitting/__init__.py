"""The post's job: a number of droplets fitted to one channel by stochastic variational inference, and its result.

The model comes from ``pyrodrop.models`` and the steps from ``pyrodrop.inference``;
here they are put to work on an image.
"""
