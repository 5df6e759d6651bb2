"""Streams: transactions in from a Kafka topic, decisions out to another, what can't be decided to a third.

Owns the messages' form, the consumer, and what becomes of a message that is refused. Hands on nothing. Never: answers
before the journal has the decision, commits an offset before its answer is delivered, refuses for a rate limit (it
waits), or logs a key.
"""
