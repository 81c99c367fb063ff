"""The pytest side: hooks, options, marks, fixtures and the report after the tests; no other part imports pytest."""
