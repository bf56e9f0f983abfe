"""Starts everything, plays what can be seen, and closes the books. No service knows of it."""
