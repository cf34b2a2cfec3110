"""Finding the way into a call: what an event says (`evidence`), held against tables of platforms and wrappers."""
