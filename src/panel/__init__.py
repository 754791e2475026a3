"""The panel "Enhance Map"."""
