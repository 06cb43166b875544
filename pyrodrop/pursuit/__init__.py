"""Where a fit of a given number of droplets begins: matching pursuit over radii, births, deaths and their evidence.

A guest: it goes when the joint fit does its work.
"""
