"""Simulated calendar providers with real semantics, to develop, demonstrate and test against without an account."""
