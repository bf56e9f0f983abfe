"""What the service does: commands, and the handlers of one transaction."""
