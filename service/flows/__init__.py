"""The things that happen: each flow reads top-down, and none imports another."""
