"""How much better a method makes maps, against what users have anyway."""
