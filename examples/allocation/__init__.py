"""Which batch of stock an order line is taken from: a small service on commands, domain events and a unit of work."""
