"""ICS feeds (RFC 5545, section 3.4): a calendar that somebody publishes at an address, to be fetched whole, never written."""
