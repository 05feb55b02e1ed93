"""The JSON API: organisations, grants, auditors (flask-smorest, marshmallow)."""
