"""The processes of two environments that run one suite, and that a session commands: started, asked, and ended."""
