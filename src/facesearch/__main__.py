"""``python -m facesearch``."""

from facesearch.cli.main import main

if __name__ == "__main__":
    main()
