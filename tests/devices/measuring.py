"""Measures on the second device."""
