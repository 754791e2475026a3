"""Simulated complexes whose truth is known: what was in the input, and what a result lost or invented."""
