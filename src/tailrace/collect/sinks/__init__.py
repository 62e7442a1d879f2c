"""Where events go, one destination a file."""
