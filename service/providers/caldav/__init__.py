"""CalDAV (RFC 4791, 6578, 6764) behind the provider port: `client`, and beneath it discovery, rounds, collections, sessions."""
