"""PDFs, made in the test by hand."""

import base64

from tests.dialogues.pictures import draw, encoded

INVOICE = ["Greenway invoice", "Order GW1002", "Pizza Margherita x2   $23.80", "Total   $26.30"]
A4 = (595, 842)  # points


def stream(data, entries=b""):
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def lines_of(lines, colour="0 g", size=14):
    shown = "\n".join(f"({line}) Tj 0 -24 Td" for line in lines)
    return f"BT {colour} /F1 {size} Tf 60 760 Td\n{shown}\nET".encode("latin-1")


def assembled(objects, trailer=b""):
    """A PDF of numbered objects, the first of which is its catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size, start = len(objects) + 1, len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    out += b"trailer << /Size %d /Root 1 0 R %s >>\n" % (size, trailer)
    return out + b"startxref\n%d\n%%%%EOF\n" % start


def text_pdf(*pages, box=A4, info=b"", **style):
    """A PDF with a text layer: one list of lines a page, or content as it stands."""
    contents = [page if isinstance(page, bytes) else lines_of(page, **style) for page in pages]
    kids = b" ".join(b"%d 0 R" % (5 + 2 * at) for at in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(contents)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< %s >>" % info,
    ]
    for at, content in enumerate(contents):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (*box, 6 + 2 * at),
            stream(content),
        ]
    return assembled(objects, b"/Info 4 0 R")


def scanned_pdf(*pictures):
    """Pages that are pictures alone, as of a scanner."""
    first, *others = pictures or [draw()]
    return encoded(first, "PDF", save_all=True, append_images=others, resolution=72)


def locked_pdf():
    """Encrypted with a password that nobody here knows (ISO 32000-2, 7.6.4; RC4, 40 bits)."""
    secret = b"<%s>" % (b"5a" * 32)
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O %s /U %s /P -4 >>" % (secret, secret)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [] /Count 0 >>",
    ]
    return assembled(objects, lock + b" /ID [<00><00>]")


def filled_form():
    """A form whose value is drawn by its field, not by the page."""
    fonts = b"/Resources << /Font << /F1 5 0 R >> >>"
    value = b"BT /F1 12 Tf 2 6 Td (GW1010) Tj ET"
    return assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [7 0 R] >> >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R %s "
            b"/Annots [7 0 R] >>" % fonts,
            stream(lines_of(["Claim form of Greenway. Number of the order:"])),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            stream(value, b"/Type /XObject /Subtype /Form /BBox [0 0 200 20] " + fonts),
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (order) /V (GW1010) "
            b"/Rect [60 600 260 620] /P 3 0 R /F 4 /AP << /N 6 0 R >> >>",
        ]
    )


def chinese(text, colour="0 g"):
    """A page whose font the file only names, as electronic invoices do."""
    letters = text.encode("utf-16-be").hex()
    name = b"/BaseFont /STSong-Light "
    return assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>",
            stream(f"BT {colour} /F1 12 Tf 60 700 Td <{letters}> Tj ET".encode()),
            b"<< /Type /Font /Subtype /Type0 %s /Encoding /UniGB-UCS2-H "
            b"/DescendantFonts [6 0 R] >>" % name,
            b"<< /Type /Font /Subtype /CIDFontType0 %s /FontDescriptor 7 0 R /CIDSystemInfo "
            b"<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> >>" % name,
            b"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 "
            b"/FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 "
            b"/CapHeight 880 /StemV 93 >>",
        ]
    )


# 1.5 GB of spaces, deflated three times.
PACKED = base64.b85decode(
    "c-pJD_4bao-<(8=wucV|JOpG|Rvz$aN@Aa(#=J<1aaIXqMa*)=iZeP*tRd#5FJ?J~iU&A)I5=j^+|c!ZpWfG(?)!cg"
    "&Hw-J_v6<u_P?z7w(0xBs$3QZ1_quxU*08UK74Cf_xJ0|7a$RdUFW4=pZ>h~z~`6e8ZChW2_N+A-{qgH=dh`<j5cEjX}"
    "b6A^8Ay3#0ozD%6)x94k%(!vAu~ANKa6b0Fn&4V9o^y#}Jt_Dl;lGDl;lGDl;lGDl;lGDuYwTsG6V6XWc$~y?1i`5-WZ"
    "my*hP%`+tVEMUK({Y0{Y8"
)


def bomb():
    """What its second page shows unpacks to more memory than the reader has."""
    filters = b"/Filter [/FlateDecode /FlateDecode /FlateDecode]"
    return text_pdf(INVOICE, b"").replace(stream(b""), stream(PACKED, filters))
