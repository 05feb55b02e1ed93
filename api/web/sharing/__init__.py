"""Who may read what: asked for, allowed, seen, narrowed, ended; and what happened."""
