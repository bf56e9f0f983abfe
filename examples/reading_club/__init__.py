"""A reading club registers and reviews books, and tells others of it: once with plain functions, once with coroutines."""
