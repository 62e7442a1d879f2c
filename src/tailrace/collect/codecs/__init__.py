"""How bytes become events, one codec a file."""
