"""From a map to a better map."""
