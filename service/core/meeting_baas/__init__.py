"""The words of Meeting BaaS for what we know: pure translation, after the vendor's published schemas of v1 and v2."""
