"""`calgate demo`: the gateway, a simulated Google and a webhook receiver on one machine, telling one story together."""
