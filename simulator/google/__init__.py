"""A fake Google: OAuth token endpoint, Calendar API v3 and push channels over one in-memory world."""
