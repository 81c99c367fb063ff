"""The model that a test gets, and the calls that it makes of it."""
