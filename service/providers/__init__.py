"""The outside world: one module per calendar provider behind one Protocol, and the guarded way out to it."""
