"""What a file is, by its bytes; name and declared type count for nothing.

Knows signatures only: that a picture can be decoded is seen when it is.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass

HEAD = 64  # bytes within which WebM names itself
MPEG_AUDIO = {b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
TRACK = re.compile(rb"hdlr.{8}(soun|vide)", re.DOTALL)  # of an MP4: what one holds
SAMPLE = 5000  # characters by which a text's script is judged
COMMON = 0.8  # share of the signs of Chinese that are everyday ones


@dataclass(frozen=True, slots=True)
class Sort:
    """What a file is: kind is "image", "voice" or "file"."""

    kind: str
    content_type: str
    suffix: str
    other_suffixes: tuple[str, ...] = ()  # that a sender's name for it may have as well


JPEG = Sort("image", "image/jpeg", ".jpg", (".jpeg",))
PNG = Sort("image", "image/png", ".png")
WEBP = Sort("image", "image/webp", ".webp")
GIF = Sort("image", "image/gif", ".gif")
WAV = Sort("voice", "audio/wav", ".wav")
MP3 = Sort("voice", "audio/mpeg", ".mp3")
M4A = Sort("voice", "audio/mp4", ".m4a", (".mp4", ".3gp"))
OGG = Sort("voice", "audio/ogg", ".ogg", (".oga", ".opus"))
WEBM = Sort("voice", "audio/webm", ".webm")
PDF = Sort("file", "application/pdf", ".pdf")
TEXT = Sort("file", "text/plain; charset=utf-8", ".txt", (".csv", ".log", ".md"))

STARTS = {
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"ID3": MP3,
    b"OggS": OGG,
    b"%PDF-": PDF,
}
TAKEN = [JPEG, PNG, WEBP, GIF, WAV, MP3, M4A, OGG, WEBM, PDF, TEXT]
RIFF = {b"WEBP": WEBP, b"WAVE": WAV}


def sort_of(content: bytes) -> Sort | None:
    """Return what `content` is, or None where it is nothing that is taken."""
    for start, sort in STARTS.items():
        if content.startswith(start):
            return sort
    if content.startswith(b"RIFF"):
        return RIFF.get(content[8:12])
    if content.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in content[:HEAD] else None
    if content[4:8] == b"ftyp":
        return M4A if set(TRACK.findall(content)) == {b"soun"} else None  # no film
    if content[:2] in MPEG_AUDIO:
        return MP3
    return None if _text(content) is None else TEXT


def in_utf8(content: bytes) -> bytes:
    """Return a TEXT as UTF-8, whatever it was written in."""
    return (_text(content) or "").encode()


def _text(content: bytes) -> str | None:
    """Return what a text says, None where it is none.

    That is UTF-8, UTF-16 with its mark as Windows saves it, or the GBK of Chinese Windows;
    without control characters.
    """
    marked = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        is_right = encoding != "gb18030" or _is_chinese(text)
        return text if is_right and not CONTROL.search(text) else None
    return None


def _is_chinese(text: str) -> bool:
    """Say whether a text read as GB 18030 is one: other encodings give rare signs there.

    Everyday are the punctuation and first level of GB 2312, which rows A1 to A3 and B0 to D7 hold.
    """
    signs = [sign.encode("gb18030") for sign in text[:SAMPLE] if not sign.isascii()]
    everyday = [sign for sign in signs if re.fullmatch(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]", sign)]
    return len(everyday) >= COMMON * len(signs)
