"""A lean way through aio-pika: connections, confirmed publishing in batches, and the frames of messages.

Knows AMQP 0-9-1 and the core's errors, no subscription and no event. Nothing of it is public.
"""

__all__: list[str] = []
