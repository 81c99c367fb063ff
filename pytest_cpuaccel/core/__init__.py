"""The types that all rooms share, as frozen values; they know no backend, no timer and no pytest."""
