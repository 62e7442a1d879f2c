"""`python -m tailrace` is the same as `tailrace`."""

from tailrace.cli import main

main()
