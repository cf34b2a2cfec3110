"""`calgate demo`: the gateway, a provider of calendars and a webhook receiver on one machine, telling one story together."""
