"""Sending webhooks: which addresses may be spoken to, one request, and the work of the worker."""
