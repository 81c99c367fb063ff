"""From a model to something callable under a backend."""
