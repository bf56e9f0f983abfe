"""A day at New York's airports, played through an event bus: one sender, three consumers, totals that must match."""
