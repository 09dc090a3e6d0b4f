"""Sweeps, and runs at the papers' scale with what they store."""
