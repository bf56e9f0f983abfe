"""Books, their reviews, and what is said about them."""
