"""Making text out of a customer's document: the words of a PDF's first pages.

PDFs are taken apart by a process of its own (agents.pdf_pages) that may die of them. A page
without words is looked at as pictures are (agents.seeing). Takes seconds: for worker processes
only.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from agents import seeing
from agents.cleaning import storable

PROGRAM = Path(__file__).with_name("pdf_pages.py")
TIMEOUT_SECONDS = 30
LONGEST_TEXT = 6000  # characters
LONGEST_LINE = 1 << 18  # bytes of JSON about one page
LOCKED, DAMAGED, TOO_HARD = "locked", "damaged", "too_hard"
BY_TEXT = "text layer"

_reading = threading.BoundedSemaphore(2)  # of all threads of a worker: each fills a core


@dataclass(frozen=True, slots=True)
class Document:
    """What was read of a document. All words in it are data from outside.

    `confidence` is 0 to 1: 1 for words that the file holds as such, the recogniser's for those
    of pictures. `by` names all that read it, "" where nothing was read. `pages_read` may be
    fewer than `pages`, and `problem` tells why nothing or not all could be read: "locked",
    "damaged", "too_hard", or "". `hidden` counts words that nobody sees; they are left out.
    `traits` is what the file tells of its making.
    """

    text: str
    confidence: float
    signs: list[str]
    by: str
    pages: int
    pages_read: int
    problem: str
    hidden: int
    traits: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Page:
    text: str
    confidence: float
    signs: list[str]
    by: str


def read(content: bytes, content_type: str) -> Document:
    """Return the words of a PDF or a plain text. Whatever is wrong with it is its `problem`."""
    if content_type == "application/pdf":
        return _read_pdf(content)
    text = storable(content.decode("utf-8", "replace"))[:LONGEST_TEXT]
    return Document(text, 1.0, [], BY_TEXT, 1, 1, "", 0, {})


def _read_pdf(content: bytes) -> Document:
    with _reading, tempfile.TemporaryFile() as out:
        problem = _take_apart(content, out)
        out.seek(0)
        told = list(_told(out))
    head = storable(told[0][0]) if told else {}
    found = [_page(about, picture) for about, picture in told[1:]]
    pages = int(head.get("pages", 0))
    missed = len(found) < min(pages, settings.PDF_PAGES)
    ways = dict.fromkeys(page.by for page in found if page.text)
    return Document(
        text="\n".join(page.text for page in found if page.text)[:LONGEST_TEXT],
        confidence=_confidence(found),
        signs=[sign for page in found for sign in page.signs],
        by=", ".join(ways),
        pages=pages,
        pages_read=len(found),
        problem=str(head.get("problem", "")) or (problem if missed or not pages else ""),
        hidden=sum(int(about["hidden"]) for about, _ in told[1:]),
        traits=head.get("traits", {}),
    )


def _take_apart(content: bytes, out: IO[bytes]) -> str:
    """Run the program; return why it may have written less than all."""
    command = [sys.executable, "-I", str(PROGRAM), str(settings.PDF_PAGES)]
    try:
        done = subprocess.run(
            command,
            input=content,
            stdout=out,  # a file: what it writes is limited by the system
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TOO_HARD
    return DAMAGED if done.returncode in {0, 1, -11} else TOO_HARD


def _told(out: IO[bytes]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Give what was written whole; the end may be missing."""
    while (line := out.readline(LONGEST_LINE)).endswith(b"\n"):
        about = json.loads(line)
        size = int(about.get("picture", 0))
        picture = out.read(size)
        if len(picture) < size:
            return
        yield about, picture


def _page(about: dict[str, Any], picture: bytes) -> Page:
    if not picture:
        return Page(str(storable(about["text"])), 1.0, [], BY_TEXT)
    seen = seeing.look(picture, "image/png")
    words = [str(storable(about["text"])), seen.text]
    return Page("\n".join(filter(None, words)), seen.confidence, seen.signs, seen.by)


def _confidence(pages: list[Page]) -> float:
    """Return the mean over all characters read, 0 where there are none."""
    letters = sum(len(page.text) for page in pages)
    sure = sum(len(page.text) * page.confidence for page in pages)
    return round(sure / letters, 2) if letters else 0.0
