"""One file for each command of the command line: read the image, run the workflow, write a folder of results.

What prints, parses or exits stays in ``pyrodrop.cli``; what computes stays in the workflows beside this one.
"""
