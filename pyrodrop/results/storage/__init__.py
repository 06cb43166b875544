"""Results on disk: files written whole, checkpoints, the summary, and which files of a folder are of its run.

What may enter: what writes results, reads them back, or tells whether they are as they were written.
"""
