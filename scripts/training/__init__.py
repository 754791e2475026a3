"""The trainer's parts: structures, simulated experiments, losses, loops."""
