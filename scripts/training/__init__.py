"""The trainer's parts: recipes, feeds of cubes, losses, the loop, validation, what is kept."""
