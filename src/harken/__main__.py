"""`python -m harken`, which is what torchrun starts."""

from harken.cli import main

main()
