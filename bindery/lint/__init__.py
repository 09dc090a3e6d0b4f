"""What `make check` checks without executing anything."""
