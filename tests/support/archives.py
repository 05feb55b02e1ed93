"""Archives of a store (`pds-export/1`) as hands other than ours would make them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

from pds.exporting import FORMAT, MEDIA_TYPE

ID = "6f1ab2c3-0000-4000-8000-000000000001"


def archive(members, *, fmt=FORMAT, hashes=None):
    """Return an archive with a manifest that is true of its members, unless `hashes` says else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        for path, content in members.items():
            target.writestr(path, content)
        files = [
            {"path": path, "sha256": (hashes or {}).get(path, hashlib.sha256(content).hexdigest())}
            for path, content in members.items()
        ]
        target.writestr("manifest.json", json.dumps({"format": fmt, "files": files}))
    return out.getvalue()


def record(data, record_id=ID, **more):
    """Return the line of a record."""
    return json.dumps({"id": str(record_id), "data": data, **more}).encode() + b"\n"
