"""How far a measurement is: what a person sees of it while it runs, and what a run after it goes on from.

Nothing is computed here.
"""
