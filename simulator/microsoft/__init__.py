"""A fake Microsoft identity platform and Graph calendar, with the semantics and the gaps of the real ones."""
