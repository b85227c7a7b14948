import io

import pytest
from PIL import Image

from dialogues.senses import picturing, sniffing
from tests.dialogues.pictures import draw, edited, encoded, scenery, voice

LARGE = 40  # megapixels
CHINESE = ["订单号：GW1002\r\n金额：26.30元，请退款。\n", "姓名,电话\n欧阳菁,138\n", "你好"]
IN_CHINA = ["utf-8", "gbk", "gb18030", "utf-16"]


def film(brand, *handlers):
    """An MP4 with nothing in its tracks."""
    tracks = b"".join(b"\0\0\0\x21hdlr" + bytes(8) + kind + bytes(13) for kind in handlers)
    return b"\0\0\0\x14ftyp" + brand + b"\0\0\2\0" + brand + tracks


def clean(content):
    return picturing.clean(content, megapixels=LARGE)


def opened(picture):
    return Image.open(io.BytesIO(picture.content))


class TestSort:
    @pytest.mark.parametrize(
        ("kind", "sort"),
        [
            ("JPEG", sniffing.JPEG),
            ("PNG", sniffing.PNG),
            ("WEBP", sniffing.WEBP),
            ("GIF", sniffing.GIF),
        ],
    )
    def test_pictures_are_known_by_their_bytes(self, kind, sort):
        assert sniffing.sort_of(encoded(draw(), kind)) is sort

    @pytest.mark.parametrize(
        ("content", "sort"),
        [
            (voice(), sniffing.WAV),
            (b"ID3\x04\0\0", sniffing.MP3),
            (b"\xff\xfb\x90\0", sniffing.MP3),
            (b"OggS\0\2", sniffing.OGG),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm", sniffing.WEBM),
            (film(b"M4A ", b"soun"), sniffing.M4A),
            (film(b"mp42", b"soun", b"mdta"), sniffing.M4A),
            (b"%PDF-1.7\n", sniffing.PDF),
            ("订单 GW1002\n".encode(), sniffing.TEXT),
            (b"<script>alert(1)</script>", sniffing.TEXT),
            *((text.encode(code), sniffing.TEXT) for text in CHINESE for code in IN_CHINA),
            ("Größe\n".encode("utf-16"), sniffing.TEXT),
            ("Größe\n".encode("utf-8-sig"), sniffing.TEXT),
        ],
    )
    def test_others_too(self, content, sort):
        assert sniffing.sort_of(content) is sort

    @pytest.mark.parametrize(
        "content",
        [b"MZ\x90\0", b"\x7fELF\2", b"PK\3\4", b"RIFF\0\0\0\0AVI ", b"\x1a\x45\xdf\xa3matroska",
         b"caf\xe9", b"BM\x36\0", film(b"isom", b"soun", b"vide"), film(b"heic", b"pict"),
         film(b"M4A "), b"\xff\xfe\0\0", b"\xff\xfea", "订单\x01号码".encode("gbk"),
         "Grüße aus Köln, schöne Straße".encode("cp1252"), "Привет, где заказ?".encode("cp1251"),
         "ご注文はどこですか".encode("shift-jis")],
    )  # fmt: skip
    def test_nothing_else_is_taken(self, content):
        assert sniffing.sort_of(content) is None

    @pytest.mark.parametrize("text", CHINESE)
    def test_a_text_is_kept_in_utf_8(self, text):
        assert {sniffing.in_utf8(text.encode(code)).decode() for code in IN_CHINA} == {text}


class TestClean:
    def test_metadata_goes(self):
        exif = Image.Exif()
        exif[0x010F] = "Maker of cameras"
        exif.get_ifd(0x8825)[1] = "N"  # where it was taken
        content = encoded(draw(), exif=exif, comment=b"secret", icc_profile=b"profile")
        assert b"Maker of cameras" in content

        kept = clean(content)

        assert b"Maker" not in kept.content
        assert b"secret" not in kept.content
        assert dict(opened(kept).getexif()) == {}
        assert "icc_profile" not in opened(kept).info

    def test_text_in_a_png_goes(self):
        from PIL.PngImagePlugin import PngInfo

        told = PngInfo()
        told.add_text("Author", "somebody")
        assert b"somebody" not in clean(encoded(draw(), "PNG", pnginfo=told)).content

    def test_it_is_turned_upright_first(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        kept = clean(encoded(Image.new("RGB", (80, 40)), exif=exif))
        assert (kept.width, kept.height) == (40, 80)

    def test_of_a_gif_the_first_frame_is_kept(self):
        frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
        kept = clean(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
        assert kept.content_type == "image/png"
        assert opened(kept).convert("RGB").getpixel((5, 5)) == (255, 0, 0)

    def test_large_ones_are_shrunk_and_have_a_thumbnail(self):
        kept = clean(encoded(Image.new("RGB", (4000, 1000))))
        assert (kept.width, kept.height) == (2560, 640)
        small = Image.open(io.BytesIO(kept.thumbnail))
        assert (small.format, small.width) == ("JPEG", 320)

    def test_what_can_be_seen_through_stays_so(self):
        kept = clean(encoded(Image.new("RGBA", (30, 30), (0, 0, 0, 0)), "PNG"))
        assert opened(kept).mode == "RGBA"
        assert Image.open(io.BytesIO(kept.thumbnail)).getpixel((5, 5)) == (255, 255, 255)

    def test_bombs_are_refused_by_their_header(self):
        for side in (7000, 20_000):
            with pytest.raises(picturing.Unreadable, match="40 million"):
                clean(encoded(Image.new("1", (side, side)), "PNG"))

    def test_broken_ones_are_refused(self):
        content = encoded(draw(), "PNG")
        for broken in (content[:200], content[:60] + b"\0" * 500, b"\xff\xd8\xff" + b"x" * 50):
            with pytest.raises(picturing.Unreadable):
                clean(broken)


class TestTraits:
    def test_a_plain_screenshot_shows_none(self):
        for quality in (70, 85, 95):
            assert clean(encoded(draw(), quality=quality)).traits == {}

    def test_a_line_painted_over_is_found_where_it_is(self):
        x, y, width, height = clean(edited(draw())).traits["patch"]
        assert 0 <= x < 300
        assert 112 <= y <= 176
        assert y + height <= 208
        assert width > 0

    def test_saving_it_twice_as_a_whole_is_no_patch(self):
        once = Image.open(io.BytesIO(encoded(draw(), quality=70)))
        assert "patch" not in clean(encoded(once, quality=95)).traits

    def test_the_program_is_noted(self):
        exif = Image.Exif()
        exif[0x0131] = "Adobe Photoshop 25.0"
        assert clean(encoded(draw(), exif=exif)).traits["software"] == "Adobe Photoshop 25.0"

    @pytest.mark.parametrize(
        ("creator", "noted"),
        [("Médion 3".encode("latin-1"), "M\ufffddion 3"), ("美图秀秀".encode() * 9, "美图秀秀")],
    )
    def test_a_name_that_is_no_clean_text_breaks_no_picture(self, creator, noted):
        xmp = b'<rdf:Description xmp:CreatorTool="' + creator + b'"/>'
        assert clean(encoded(draw(), xmp=xmp)).traits["software"].startswith(noted)


class TestLook:
    def test_a_picture_looks_the_same_when_encoded_again(self):
        once = clean(encoded(scenery(), quality=90)).look
        again = clean(encoded(scenery().resize((450, 300)), "WEBP")).look
        other = clean(encoded(scenery(3))).look
        assert _differing(once, again) <= 20
        assert _differing(once, other) > 60


def _differing(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))
