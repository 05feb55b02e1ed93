"""The log's witnesses, from the server's side: asking them, and what they make us stop for."""
