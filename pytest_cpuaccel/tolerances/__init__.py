"""The tolerance lock as a file that people review: read, compared with what a run needed, and written."""
