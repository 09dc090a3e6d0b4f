"""Figures and tables, and the numbers that go with them."""
