"""What comes out of a fit or a measurement, whatever inference it came from.

Tables, statistics and checks are numbers; figures, page and exports show them; storage keeps them on disk. What may
enter takes draws, tables and images as plain arrays, and imports nothing of the package's other rooms.
"""
