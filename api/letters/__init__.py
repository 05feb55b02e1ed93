"""E-mails to people: the way out, and the worker's part; the words are in `api.web.letters`."""
