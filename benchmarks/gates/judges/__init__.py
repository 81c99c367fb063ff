"""The gates that are compared, ours and its rivals; each file is one."""
