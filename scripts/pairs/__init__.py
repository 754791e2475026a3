"""Pairs of real maps and models, fetched, checked and cut for training."""
