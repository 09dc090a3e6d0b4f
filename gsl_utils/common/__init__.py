"""What every room of the package shares: checks of arguments, batches, units, Jacobians, the result."""
