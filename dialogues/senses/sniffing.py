"""What a file is, by its first bytes; name and declared type count for nothing.

Knows signatures only: that a picture can be decoded is seen when it is.
"""

from dataclasses import dataclass

HEAD = 64  # bytes within which WebM names itself
MPEG_AUDIO = {b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"}
SPACES = b"\t\n\r\f"


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
TAKEN = [JPEG, PNG, WEBP, GIF, WAV, MP3, OGG, WEBM, PDF, TEXT]
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
    if content[:2] in MPEG_AUDIO:
        return MP3
    return TEXT if _is_plain(content) else None


def _is_plain(content: bytes) -> bool:
    """Say whether it is UTF-8 without control characters."""
    if any(byte < 0x20 and byte not in SPACES for byte in content):
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
