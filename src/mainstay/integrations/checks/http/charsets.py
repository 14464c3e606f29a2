"""Which characters the bytes of a body stand for, found as a browser finds it. Pure.

HTML standard, 13.2.3.2 (prescan of 1,024 bytes, XML declaration); labels by the Encoding standard, 4.2.
"""

from __future__ import annotations

import codecs
import re

_LOOKED_AT = 1024  # bytes
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDE = ((b"<\0?\0x\0", "utf-16-le"), (b"\0<\0?\0x", "utf-16-be"))  # an XML declaration in UTF-16
_WIDE_JSON = {(1, 0): "utf-16-le", (0, 1): "utf-16-be"}  # RFC 4627, 3: two ASCII characters begin a document
# Codecs of Python that are not for pages: they raise whatever is asked of them, or take quadratic time.
_NOT_OF_PAGES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})
# What pages mean by a label, where Python means less by it.
_WIDER = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
}
_ALIASES = {
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ks_c_5601-1987": "cp949",
    "x-gbk": "gb18030",
    "x-user-defined": "cp1252",
    "unicode-1-1-utf-8": "utf-8",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
}
_IN_CONTENT = re.compile(r"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;\"']+))", re.IGNORECASE)
_INSIDE = rb"((?:[^>\"']|\"[^\"]*+\"|'[^']*+')*+)>"
_TAG = re.compile(
    rb"<!--.*?-->|<(meta)(?=[\s/])" + _INSIDE + rb"|</?[a-z]" + _INSIDE + rb"|<[!/?][^>]*>", re.IGNORECASE | re.DOTALL
)
_ATTRIBUTE = re.compile(rb"([^\s/>=\"']+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?")
_DECLARATION = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"'>]+)[\"']")


def decode(body: bytes, content_type: str) -> str:
    """The text of a body whose header says `content_type`; what cannot be read becomes U+FFFD."""
    codec = charset_of(body, content_type)
    return body.decode(codec, "replace").removeprefix("\ufeff")


def charset_of(body: bytes, content_type: str) -> str:
    """Python's codec for a body: by its mark, its header, what it says of itself, else UTF-8."""
    start = body[:_LOOKED_AT]
    marked = next((codec for mark, codec in _MARKS if start.startswith(mark)), "")
    if found := marked or _known(_in_content(content_type)):
        return found
    kind = content_type.partition(";")[0].strip().lower()
    if "json" in kind or start[:1] in (b"{", b"["):
        return _WIDE_JSON.get((min(start[0], 1), min(start[1], 1)), "utf-8") if len(start) > 1 else "utf-8"
    if kind and "html" not in kind and "xml" not in kind:
        return "utf-8"
    wide = next((codec for begin, codec in _WIDE if start.startswith(begin)), "")
    return wide or _of_ascii(_in_page(start)) or _of_ascii(_in_declaration(start)) or "utf-8"


def _in_content(text: str) -> str:
    """The charset of a Content-Type, quoted or not."""
    found = _IN_CONTENT.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def _in_page(start: bytes) -> str:
    for tag in _TAG.finditer(start):
        if tag[1] and (found := _in_meta(tag[2])):
            return found
    return ""


def _in_meta(inside: bytes) -> str:
    attributes: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(inside):
        attributes.setdefault(name.decode("latin-1").lower(), b"".join(values).decode("latin-1"))
    if attributes.get("charset"):
        return attributes["charset"]
    is_header = attributes.get("http-equiv", "").strip().lower() == "content-type"
    return _in_content(attributes.get("content", "")) if is_header else ""


def _in_declaration(start: bytes) -> str:
    found = _DECLARATION.match(start)
    return found[1].decode("latin-1") if found else ""


def _of_ascii(label: str) -> str:
    """What was found by reading ASCII cannot be UTF-16, whatever it says."""
    found = _known(label)
    return "utf-8" if found.startswith(("utf-16", "utf-32")) else found


def _known(label: str) -> str:
    """The codec that pages mean by a label; empty where it is none."""
    name = label.strip().lower()
    if not name or len(name) > 40 or not name.isascii():
        return ""
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name
        b"a".decode(found, "replace")  # raises for codecs that are not for texts
    except (LookupError, ValueError):  # a name that holds a null is refused as a value
        return ""
    if found in _NOT_OF_PAGES:
        return ""
    return {"utf-16": "utf-16-le"}.get(found) or _WIDER.get(found, found)
