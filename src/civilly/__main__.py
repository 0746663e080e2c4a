"""``python -m civilly``: the command line."""

from civilly.cli import main

if __name__ == "__main__":
    main()
