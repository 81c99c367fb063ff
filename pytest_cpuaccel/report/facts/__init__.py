"""Results as flat facts, names with scalars, and read back: one file for each kind of measurement."""
