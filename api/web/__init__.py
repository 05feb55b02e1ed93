"""HTML pages for people: views, templates, static files and translations.

`register` puts them on the application. Each module has one blueprint; all stand below one parent,
which checks every form, sends the cookies and shows errors as pages.
"""

from __future__ import annotations

from api.web.registration import register

__all__ = ["register"]
