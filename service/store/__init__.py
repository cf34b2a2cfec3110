"""What is remembered: tables, the secrets in them, and the queries that the flows are made of."""
