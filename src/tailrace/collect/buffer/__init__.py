"""What keeps acknowledged events on disk until they are delivered."""
