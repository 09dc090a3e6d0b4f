"""The machinery of the executable book: run ``python -m bindery --help`` for its commands."""
