"""A vault to take along, `pds-export/1`: a zip in open formats, written as it goes out.

    mimetype                     `MEDIA_TYPE`, stored: tells what the zip is by its first bytes
    README.txt                   what is in it, in both languages
    schemas/<collection>.json    JSON Schema of a record's data
    records/<collection>.jsonl   a record a line: id, version, changed_at, author, data, files
    history/versions.jsonl       a superseded version a line
    files/<id>/<name>            what records have attached
    contacts/address_book.vcf    vCard 4.0 (RFC 6350)
    calendar/life_events.ics     iCalendar (RFC 5545)
    bookmarks/bookmarks.html     Netscape bookmark file
    tables/<collection>.csv      RFC 4180, safe for spreadsheets
    receipts/<id>.json, .tlog-proof    what `pds verify` takes, with keys/ to check by
    manifest.json                last: format, issuer, time, counts, and SHA-256 of every file

Memory holds one batch of records or one chunk of a file at a time; beside it the ids of a
collection's records, what records say of their files, and a line for each file of the archive.
A file that is removed while the archive goes out is named by its record and is not in it.
"""

FORMAT = "pds-export/1"
MEDIA_TYPE = "application/vnd.personal-data-store.export+zip"
MANIFEST = "manifest.json"
