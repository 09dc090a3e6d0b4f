"""The rendered book: Sphinx extensions, directives, and the commands ``render`` and ``serve``."""
