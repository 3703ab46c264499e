"""`python -m emulator.cli` is `skyloom`."""

from emulator.cli import main

main()
