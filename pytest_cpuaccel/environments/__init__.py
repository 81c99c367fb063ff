"""The other environment, made or found: another Python, packages laid over this one, a revision of the user's code."""
