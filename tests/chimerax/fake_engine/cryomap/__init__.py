"""Stands in for the engine in tests of the ChimeraX side: speaks the worker's protocol, needs numpy alone."""
