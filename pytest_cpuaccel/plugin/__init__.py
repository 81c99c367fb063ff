"""The pytest plugin: hooks, options, marks, fixtures and the report after the tests. No other room imports pytest."""
