"""What the HTML page shows: its values, and the geometry of its plots. How it looks is in ``templates``."""
