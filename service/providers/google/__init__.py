"""Google Calendar API v3 (developers.google.com/workspace/calendar/api) behind the provider port."""

from service.providers.google.client import GoogleCalendar
from service.providers.google.push import GooglePush

__all__ = ["GoogleCalendar", "GooglePush"]
