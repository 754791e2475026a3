"""What `scripts/fuzz.py` does to good files."""
