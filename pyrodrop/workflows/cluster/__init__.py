"""Dask's workers, of this machine or of a cluster: whoever has work for several processes asks here for a client.

What the work is, how it is handed out and where its results go is nothing of this room's.
"""
