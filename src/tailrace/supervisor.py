"""Starts the parts of Tailrace as child processes and keeps them alive."""
