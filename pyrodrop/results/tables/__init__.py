"""The droplet table: one row a droplet, its flags, and how it compares with another table or a known truth.

What may enter: a column, a flag, a comparison of rows.
"""
