"""The two papers' networks, in torch, and their weights."""
