"""Microsoft Graph's calendars (learn.microsoft.com/graph/api/resources/event)."""
