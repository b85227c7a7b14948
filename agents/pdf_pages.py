"""A program of its own that takes a PDF apart: `python -I pdf_pages.py MOST_PAGES < in > out`.

PDFium is C++ and what it reads comes from strangers. So it runs in a process that limits
itself, before it reads a byte, in memory, processor time and what it may write, and that
nobody misses when it dies. Knows nothing of Django or of this project.

Written are lines of JSON: first {"pages", "traits"} or {"problem"}, then {"text", "hidden",
"picture"} for each page, followed by `picture` bytes of PNG. What was written before the
process died is good.
"""

import ctypes
import io
import json
import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium

MEMORY_BYTES = 1 << 30  # of address space
PROCESSOR_SECONDS = 10
WRITTEN_BYTES = 64 << 20
TOO_HARD = 3  # exit status: memory ran out

DOTS_A_POINT = 2.0  # 144 dpi
LONGEST_SIDE = 2000  # pixels of a page's picture
MOST_LETTERS = 8000  # of a page that are looked at
LEAST_LETTERS = 16  # a page with fewer is read from its picture
MARGIN = 3  # pixels around a word, so that a filled letter stands out from its ground
LEAST_CONTRAST = 24  # grey levels of 256 between a word's darkest and lightest pixel
LAST_LATIN = 0x24F
LIGHTEST = 200  # of a colour's parts, up to 255, that a reader sees on white
DRAWN = range(3)  # text rendering modes that fill or stroke (ISO 32000-2, 9.3.6)
HYPHEN = "\ufffe"  # PDFium's sign for a hyphen at the end of a line
LONGEST_TRAIT = 80  # characters

Box = tuple[float, float, float, float]  # left, bottom, right, top in points


def limit() -> None:
    """Give up, for good, what is not needed to read one document."""
    for which, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(which, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def take_apart(content: bytes, most_pages: int, out: BinaryIO) -> None:
    """Write what is said of the document and its first pages."""
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}
        return _write(out, {"problem": "locked" if locked else "damaged"})
    if not len(document):
        return _write(out, {"problem": "damaged"})
    _write(out, {"pages": len(document), "traits": traits_of(document, content)})
    document.init_forms()  # so that what was filled in is drawn
    for number in range(min(most_pages, len(document))):
        text, hidden, picture = _page(document, number)
        _write(out, {"text": text, "hidden": hidden, "picture": len(picture)}, picture)
    return None


def _write(out: BinaryIO, told: dict[str, Any], more: bytes = b"") -> None:
    out.write(json.dumps(told).encode() + b"\n" + more)
    out.flush()


def traits_of(document: pypdfium2.PdfDocument, content: bytes) -> dict[str, Any]:
    """Return what the file tells of its making: programs, times, how often it was added to."""
    told = document.get_metadata_dict(skip_empty=True)
    names = {"Producer": "producer", "Creator": "creator"}
    traits: dict[str, Any] = {names[key]: told[key][:LONGEST_TRAIT] for key in names if key in told}
    made, changed = (_moment(told.get(key, "")) for key in ("CreationDate", "ModDate"))
    if made and changed and made[:10] != changed[:10]:  # another day: tools take minutes
        traits |= {"made_at": made, "edited_at": changed}
    # Each addition ends in a mark of its own; a linearized file has two from the start.
    ends = content.count(b"startxref") - (1 if b"/Linearized" in content[:1024] else 0)
    return traits | ({"additions": ends - 1} if ends > 1 else {})


def _moment(text: str) -> str:
    """Read a PDF date (ISO 32000-2, 7.9.4) to the minute, "" where it is none."""
    found = re.match(r"(?:D:)?(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)", text)
    return "{}-{}-{} {}:{}".format(*found.groups()) if found else ""


def _page(document: pypdfium2.PdfDocument, number: int) -> tuple[str, int, bytes]:
    """Return a page's words that can be seen, how many can't, and its picture if it has none.

    A page that PDFium can't read is empty: the others count all the same.
    """
    try:
        pdfium.FPDFPage_Flatten(document[number], 0)  # what was filled into a form becomes text
        page = document[number]
        scale = min(DOTS_A_POINT, LONGEST_SIDE / max(*page.get_size(), 1))
        bitmap = page.render(scale=scale, grayscale=True)
        grey = bitmap.to_pil()
        place = bitmap.get_posconv(page)
        letters = page.get_textpage()
        shown, hidden = [], 0
        for text, box, at in words_of(letters):
            area = _area(grey, place, box) if box else None
            if box and not (area and (_stands_out(grey, area) or _lacks_glyphs(letters, at))):
                hidden += 1
            else:
                shown.append(text)
    except pypdfium2.PdfiumError:
        return "", 0, b""
    said = "".join(shown).replace("\r\n", "\n").strip()
    darkest, lightest = grey.getextrema()
    if len(said) >= LEAST_LETTERS or darkest == lightest:
        return said, hidden, b""
    out = io.BytesIO()
    grey.save(out, "PNG")
    return said, hidden, out.getvalue()


def words_of(page: pypdfium2.PdfTextPage) -> Iterator[tuple[str, Box | None, int]]:
    """Give a page's words with box and place of each, and what is between them without a box."""
    word, box, start = "", None, 0
    for at in range(min(page.count_chars(), MOST_LETTERS)):
        letter = chr(pdfium.FPDFText_GetUnicode(page, at))
        if not letter.isspace():
            start = start if word else at
            word += "-" if letter == HYPHEN else letter
            box = _around(box, page.get_charbox(at))
            continue
        if word:
            yield word, box, start
        word, box = "", None
        yield letter, None, at
    if word:
        yield word, box, start


def _around(box: Box | None, letter: Box) -> Box:
    if box is None:
        return letter
    left, bottom, right, top = letter
    return min(box[0], left), min(box[1], bottom), max(box[2], right), max(box[3], top)


def _area(grey: Any, place: Any, box: Box) -> tuple[int, int, int, int] | None:
    """Return where a word is on the picture: left, upper, right, lower; None beside the page."""
    left, bottom, right, top = box
    ends = place.to_bitmap(left, bottom), place.to_bitmap(right, top)
    (x0, x1), (y0, y1) = (sorted(side) for side in zip(*ends, strict=True))
    x0, y0 = max(x0 - MARGIN, 0), max(y0 - MARGIN, 0)
    x1, y1 = min(x1 + MARGIN, grey.width), min(y1 + MARGIN, grey.height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _stands_out(grey: Any, area: tuple[int, int, int, int]) -> bool:
    """Say whether anything can be seen where a word is: white on white is not."""
    darkest, lightest = grey.crop(area).getextrema()
    return bool(lightest - darkest >= LEAST_CONTRAST)


def _lacks_glyphs(page: pypdfium2.PdfTextPage, at: int) -> bool:
    """Say whether a word is blank here because the file doesn't bring its font, nor has this
    machine one: Chinese invoices are often so, and their readers see them well.
    """
    if pdfium.FPDFText_GetUnicode(page, at) <= LAST_LATIN:
        return False  # PDFium has letters of its own for these
    written = pdfium.FPDFText_GetTextObject(page, at)
    if not written or pdfium.FPDFFont_GetIsEmbedded(pdfium.FPDFTextObj_GetFont(written)) != 0:
        return False
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFText_GetFillColor(page, at, red, green, blue, alpha)
    dark = min(red.value, green.value, blue.value) <= LIGHTEST and alpha.value > 0
    drawn = pdfium.FPDFTextObj_GetTextRenderMode(written) in DRAWN
    return dark and drawn


def main() -> int:
    content = sys.stdin.buffer.read()
    try:
        take_apart(content, int(sys.argv[1]), sys.stdout.buffer)
    except MemoryError:
        return TOO_HARD
    return 0


if __name__ == "__main__":
    # Loaded before the limits hold, used after.
    from PIL import PngImagePlugin  # noqa: F401

    limit()
    sys.exit(main())
