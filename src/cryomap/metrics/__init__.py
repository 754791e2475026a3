"""How well maps agree with a model, or with each other; numpy, scipy and gemmi only."""
