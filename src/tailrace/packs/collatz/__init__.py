"""Number chains of the Collatz conjecture, through Kafka."""
