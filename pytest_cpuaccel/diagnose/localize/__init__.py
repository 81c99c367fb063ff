"""The first module whose answer differs from eager's."""
