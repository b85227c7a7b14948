"""Making a customer's picture safe to keep: decoded within limits, turned upright, encoded anew.

Knows nothing of Django. Pillow is imported where it is needed: it costs 50 ms.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

LONGEST_SIDE = 2560  # pixels that are kept; enough to read a receipt
THUMBNAIL_SIDE = 320
QUALITY = 90  # of JPEG and WebP
TOO_LARGE = "A picture has at most {} million pixels."
FORMATS = ["JPEG", "PNG", "WEBP", "GIF"]
SOFTWARE, DATE_TIME, ORIGINAL_AT = 0x0131, 0x0132, 0x9003  # EXIF 2.32, 4.6.4 and 4.6.5
EXIF_IFD = 0x8769
# What Pillow raises on files that are broken or made to break it.
BROKEN = (
    OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, ArithmeticError,
    struct.error, zlib.error, MemoryError,
)  # fmt: skip
EDITED_BY = re.compile(rb"CreatorTool(?:=\"|>)([^\"<]{1,80})")  # XMP part 1, 8.3
XMP_WITHIN = 65_536  # bytes
# Double compression, see `patch_in`.
BLOCK = 16  # pixels; a multiple of JPEG's 8
QUALITIES = range(50, 95, 5)
TEXTURED = 2.5  # mean grey levels by which a block changes at the lowest quality
DIP = 0.93  # of the neighbours: how much less the whole picture changes at its former quality
LEAST_BLOCKS, MOST_SHARE, LEAST_FILLED = 4, 0.3, 0.6
MOST_SEARCHED = 4_000_000  # pixels; a larger picture would take seconds


class Unreadable(ValueError):
    """It can't be decoded, or is larger than allowed; the message is for the customer."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept of an uploaded picture: pixels only, and what the rest of it told."""

    content: bytes
    suffix: str
    content_type: str
    width: int
    height: int
    thumbnail: bytes  # JPEG
    look: str  # 256 characters 0 or 1
    traits: dict[str, Any]


def clean(content: bytes, *, megapixels: int) -> Picture:
    """Decode a picture's first frame and encode its pixels anew.

    Raises:
        Unreadable: broken, or more than `megapixels` million pixels.
    """
    from PIL.Image import DecompressionBombError

    try:
        return _clean(content, megapixels)
    except Unreadable:
        raise
    except DecompressionBombError:  # Pillow's own limit, for pictures that lie in their header
        raise Unreadable(TOO_LARGE.format(megapixels)) from None
    except BROKEN as error:
        raise Unreadable("This picture is broken. Send it again, or another one.") from error


def _clean(content: bytes, megapixels: int) -> Picture:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        width, height = opened.size  # of the header: nothing is decoded yet
        if width * height > megapixels * 1_000_000:
            raise Unreadable(TOO_LARGE.format(megapixels))
        kind = opened.format or "PNG"
        traits = _edits(content, opened)
        searched = kind == "JPEG" and width * height <= MOST_SEARCHED
        if not searched:
            opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # JPEG decodes smaller, faster
        opened.load()
        upright = ImageOps.exif_transpose(opened)
    pixels = _plain(upright)
    if searched:
        traits |= patch_in(pixels)
    pixels.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    small = _on_white(pixels)
    look = look_of(small)
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    kept = kind if kind in {"JPEG", "WEBP"} else "PNG"  # of a GIF the first frame
    return Picture(
        content=_encoded(pixels, kept),
        suffix={"JPEG": ".jpg", "WEBP": ".webp"}.get(kept, ".png"),
        content_type=f"image/{kept.lower()}",
        width=pixels.width,
        height=pixels.height,
        thumbnail=_encoded(small, "JPEG"),
        look=look,
        traits=traits,
    )


def _plain(image: "Image") -> "Image":
    """Return the pixels as RGB or RGBA, without comments, profiles and other `info`."""
    has_alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    pixels = image.convert("RGBA" if has_alpha else "RGB")
    pixels.info.clear()  # Pillow would write comment and profile back
    return pixels


def _on_white(image: "Image") -> "Image":
    from PIL import Image

    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return ground


def _encoded(image: "Image", kind: str) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": QUALITY}
    image.save(out, kind, **options)
    return out.getvalue()


def look_of(image: "Image") -> str:
    """Return the difference hash: is each of 16 by 16 cells darker than its right neighbour?"""
    cells = image.convert("L").resize((17, 16))
    grey = cells.tobytes()
    rows = [grey[row * 17 : row * 17 + 17] for row in range(16)]
    return "".join("01"[row[x] < row[x + 1]] for row in rows for x in range(16))


def _edits(content: bytes, image: "Image") -> dict[str, Any]:
    """Return what the metadata tells about editing: a program's name, times that differ."""
    exif = image.getexif()
    creator = EDITED_BY.search(content[:XMP_WITHIN])
    made_with = creator[1].decode(errors="replace") if creator else ""  # cut, or no UTF-8 at all
    software = exif.get(SOFTWARE) or image.info.get("Software") or made_with
    taken, changed = exif.get_ifd(EXIF_IFD).get(ORIGINAL_AT), exif.get(DATE_TIME)
    told = {"software": software, "edited_at": changed if taken and taken != changed else None}
    return {name: str(text).strip("\0 ")[:80] for name, text in told.items() if text}


def patch_in(image: "Image") -> dict[str, Any]:
    """Return {"patch": [x, y, width, height]} in pixels where a region was not saved as often
    as the rest; empty where nothing stands out.

    JPEG ghosts (Farid, IEEE TIFS 4(1), 2009, eq. 1): a picture saved at its former quality
    changes little, but not where other pixels were put in afterwards. A hint, no proof, and
    blind where the picture was cropped or shrunk after the edit.
    """
    import numpy as np

    changes = np.stack([_change(image, quality) for quality in QUALITIES])  # quality, y, x
    textured = changes[0] > TEXTURED
    if textured.sum() < LEAST_BLOCKS:
        return {}
    means = changes[:, textured].mean(axis=1)
    for at in range(1, len(means) - 1):
        if means[at] < min(means[at - 1], DIP * means[at + 1]):
            around = (changes[at - 1] + changes[at + 1]) / 2
            if patch := _patch((changes[at] > around) & textured, textured):
                return {"patch": patch}
    return {}


def _change(image: "Image", quality: int) -> "NDArray[Any]":
    """Return the mean grey levels by which each block changes when saved at `quality`."""
    import numpy as np
    from PIL import Image, ImageChops

    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    with Image.open(out) as again:
        levels = ImageChops.difference(image, again).convert("L")
    fine = levels.point([min(level * 8, 255) for level in range(256)])  # reduce() rounds
    return np.asarray(fine.reduce(BLOCK), dtype=float) / 8


def _patch(odd: "NDArray[Any]", textured: "NDArray[Any]") -> list[int]:
    """Return the box of the odd blocks if they lie together; scattered ones are chance."""
    ys, xs = odd.nonzero()
    if not LEAST_BLOCKS <= len(xs) <= MOST_SHARE * textured.sum():
        return []
    left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    if len(xs) < LEAST_FILLED * textured[top:bottom, left:right].sum():
        return []
    return [int(BLOCK * side) for side in (left, top, right - left, bottom - top)]
