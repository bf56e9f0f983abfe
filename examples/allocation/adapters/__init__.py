"""The world around the service: a database, and people who read mail."""
