"""A posterior sampled around its Laplace approximation, which gives the coordinates; the draws are of the density.

Only what needs an approximation to start from enters; samplers that start anywhere stand in ``nuts``.
"""
