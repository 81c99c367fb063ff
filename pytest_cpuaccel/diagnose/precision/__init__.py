"""Which modules cost a backend of reduced precision its accuracy."""
