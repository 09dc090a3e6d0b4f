"""The methods of ``recover``: each goes from one iterate to the next, for all rows at once."""
