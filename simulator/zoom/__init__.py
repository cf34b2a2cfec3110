"""A fake Zoom: consent, tokens that rotate at every refresh, users, and the meetings that are scheduled in their name."""
