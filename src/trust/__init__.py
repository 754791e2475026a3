"""What the engine judged of a result, in the scene and in the Log: markers, maps, colors, words."""
