"""The engine's own Python: found, installed, run as a process that can be watched and stopped."""
