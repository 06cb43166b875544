"""Numbers about all droplets of an image: how many, how large, in which distribution, each with its interval.

What may enter: a statistic of a sample of droplets, with how sure it is.
"""
