"""Google Calendar API v3 (developers.google.com/workspace/calendar/api) behind the provider port: `client` and `push`."""
