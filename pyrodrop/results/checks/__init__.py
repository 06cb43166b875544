"""How far results are to be trusted: the fit of the image, and the calibration of a posterior.

What may enter: a diagnostic that can tell a wrong result from a right one, and a test that shows that it does.
"""
