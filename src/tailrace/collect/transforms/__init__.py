"""What may happen to events on their way, one verb a file."""
