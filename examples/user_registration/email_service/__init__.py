"""Whoever registers is mailed once: a consumer, an inbox, and SMTP."""
