"""Training of the generators that have to be trained."""
