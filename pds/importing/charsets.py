"""Turning the bytes of an import into text.

A file may name its encoding, and may be wrong about it. UTF-8 is tried first: text of another
encoding is almost never valid UTF-8 by chance.
"""

from __future__ import annotations

import codecs

_FALLBACK = "cp1254"
"""Latin letters with those of Turkish: what an old program in Azerbaijan wrote most likely."""

# A fixed list: among Python's codecs are some that take quadratic time (idna, punycode) or that
# read escapes, and the name comes out of the file.
_KNOWN = {
    "us-ascii": "ascii",
    "ascii": "ascii",
    "usascii": "ascii",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso-2022-jp",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc-kr": "euc-kr",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 15)},
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{str(page): f"cp{page}" for page in range(1250, 1259)},
}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def without_bom(data: bytes) -> bytes:
    """Return `data` in UTF-8 if a byte order mark says what it is, else as it is."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode()
    return data


def decode(data: bytes, declared: str | None = None) -> tuple[str, bool]:
    """Return the text of `data`, and whether its encoding had to be guessed.

    `declared` is the encoding's name in the file, in any case; it is believed after UTF-8.
    """
    named = _KNOWN.get(declared.strip().lower()) if declared else None  # ascii
    for encoding in ("utf-8", named):
        if encoding is not None:
            try:
                return data.decode(encoding), False
            except UnicodeDecodeError:
                continue
    # What says that it is UTF-8 and is not has been cut inside a character: the rest is sound.
    return data.decode("utf-8" if named == "utf-8" else _FALLBACK, "replace"), True
