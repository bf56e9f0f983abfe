"""What the service does with commands and events. It sees the domain, and its surroundings as ports."""
