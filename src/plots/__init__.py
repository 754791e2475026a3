"""Plots of agreement and their window."""
