"""Side-by-side speed and accuracy of the book's methods and of what a reader would use instead."""
