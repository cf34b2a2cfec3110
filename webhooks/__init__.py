"""Durable, signed webhooks: an outbox written in the caller's transaction, and a deliverer that empties it."""
