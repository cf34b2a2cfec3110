"""Meeting BaaS's calendar API, v1 and v2, over the same flows as our own routes: translation alone, no second logic."""
