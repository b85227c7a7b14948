"""Pictures and recordings, made in the test."""

import io
import struct

from PIL import Image, ImageDraw, ImageFont

ORDER = ["Greenway order GW1002", "Pizza Margherita x2  $23.80", "Total  $26.30"]


def draw(lines=ORDER, size=28):
    """A screenshot of some lines of text."""
    picture = Image.new("RGB", (560, 60 + 2 * size * len(lines)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for number, line in enumerate(lines):
        pen.text((30, 30 + 2 * size * number), line, font=font, fill="#222")
    return picture


def scenery(seed=1):
    """Something with soft shapes everywhere, like a photo."""
    picture = Image.new("RGB", (600, 400), (90, 120, 150))
    pen = ImageDraw.Draw(picture)
    for number in range(60):
        x, y = (number * 97 * seed) % 600, (number * 61 * seed + 13 * seed) % 400
        shade = ((number * 37) % 256, (number * 91 * seed) % 256, (number * 53) % 256)
        pen.ellipse((x - 60, y - 60, x + 60, y + 60), fill=shade)
    return picture


def encoded(picture, kind="JPEG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def edited(picture):
    """The picture saved once, a line of it painted over, and saved again."""
    again = Image.open(io.BytesIO(encoded(picture, quality=70))).convert("RGB")
    pen = ImageDraw.Draw(again)
    pen.rectangle((24, 136, 400, 186), fill="white")
    pen.text((30, 142), "Total  $96.30", font=ImageFont.load_default(28), fill="#222")
    return encoded(again, quality=95)


def voice(seconds=0.1):
    samples = b"\0\0" * int(8000 * seconds)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1,
                       8000, 16000, 2, 16, b"data", len(samples))  # fmt: skip
    return head + samples
