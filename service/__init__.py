"""The gateway: keeps calendars in step with their providers and tells the world what changed."""
