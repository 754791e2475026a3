"""Maps as experiments give them, made from atomic structures."""
