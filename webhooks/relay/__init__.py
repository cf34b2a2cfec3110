"""The relay: endpoints live at a Svix server, and our outbox hands every message over to it."""
