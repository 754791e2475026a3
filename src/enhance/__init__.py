"""The command `enhance`: its job for the engine, and what of the answer is opened and told."""
