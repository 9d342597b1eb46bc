"""`python -m harken`, which is what torchrun starts."""

from harken.cli.app import main

main()
