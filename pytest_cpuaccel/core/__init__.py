"""The nouns of the project, frozen; they know no backend, no clock and no pytest."""
