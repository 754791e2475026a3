"""Pictures of README and help, made in a ChimeraX with a window."""
