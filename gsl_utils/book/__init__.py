"""The machinery of the executable book: run ``python -m gsl_utils.book --help`` for its commands."""
