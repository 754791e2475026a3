"""The command line, `python -m cryomap`."""
