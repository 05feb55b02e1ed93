"""The server process; the only place that knows Flask."""
