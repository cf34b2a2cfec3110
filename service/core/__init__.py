"""The pure core: decisions as functions whose results are values; no clock, no chance, no I/O, no settings."""
