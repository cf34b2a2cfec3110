"""VEVENT components (RFC 5545, section 3.6.1), which CalDAV servers and ICS feeds have in common."""
