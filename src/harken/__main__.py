"""Entry point of `python -m harken`, which torchrun starts on every rank."""

from harken.cli.app import main

main()
