"""Shapes of the JSON API, for its documentation and for checking what comes in."""
