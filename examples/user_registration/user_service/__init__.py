"""Who is registered: an HTTP API, a domain, a database, and an outbox."""
