"""``python -m pacstui`` is the same as the ``pacstui`` command."""

from pacstui.cli import main

if __name__ == "__main__":
    main()
