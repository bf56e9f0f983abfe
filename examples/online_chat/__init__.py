"""A chat: rooms are topics, and everybody in a room is a consumer of it."""
