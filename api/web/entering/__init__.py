"""Ways in: signing up and in, coming back, and asking once more who it is."""
