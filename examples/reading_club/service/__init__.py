"""What the club does with commands and events."""
