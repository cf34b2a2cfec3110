"""Zoom: signing users in, and meetings that are made in their name."""
