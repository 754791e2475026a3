"""Maps and models of the scene as the engine takes them, and back."""
