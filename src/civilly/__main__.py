"""``python -m civilly``: the command line."""

from civilly.cli import main

main()
