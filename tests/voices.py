"""Words as pairs of tones, one pair a word, and a speech server that knows them apart."""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby, pairwise

import numpy as np

from agents.sounds import Sound, from_wav

RATE = 8000
WORD_SECONDS = 0.4
PIECE = 800  # samples: what is told apart at a time


def tones(*hertz, seconds=WORD_SECONDS):
    at = np.arange(int(RATE * seconds)) / RATE
    wave = sum(np.sin(2 * np.pi * one * at) for one in hertz) / len(hertz)
    return (wave * 9000).astype("<i2").tobytes()


@dataclass
class Words:
    """What can be said in a test, by the pair of tones that stands for it."""

    texts: list = field(default_factory=list)
    pace: float = 0.002  # seconds a sign, of our own voice

    def say(self, text, seconds=WORD_SECONDS):
        if text not in self.texts:
            self.texts.append(text)
        return tones(*self.pair(self.texts.index(text)), seconds=seconds)

    def pair(self, number):
        return 350 + 110 * (number % 8), 1500 + 150 * (number // 8)

    def heard(self, sound):
        """Return the texts that were said one after the other."""
        samples = np.frombuffer(sound.pcm, "<i2").astype(float)
        pieces = [samples[at : at + PIECE] for at in range(0, len(samples) - PIECE, PIECE)]
        numbers = [self.number(piece) for piece in pieces if np.abs(piece).max() > 500]
        said = [one for one, other in pairwise([None, *numbers]) if one == other]
        return " ".join(self.texts[number] for number, _ in groupby(said)).strip()

    def number(self, piece):
        power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), RATE))  # a bin a hertz
        strength = [
            min(power[one - 20 : one + 20].max() for one in self.pair(number))
            for number in range(len(self.texts))
        ]
        return int(np.argmax(strength))


@contextmanager
def speech_server(words):
    """Serve /audio/transcriptions and /audio/speech; yield its base URL and what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/audio/speech"):
                text = json.loads(body)["input"]
                asked.append(("speech", text))
                pcm = words.say(text, seconds=0.3 + len(text) * words.pace)
                return self.answer(Sound(pcm, RATE).as_wav(), "audio/wav")
            form = message_from_bytes(
                b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
            )
            fields = {
                part.get_param("name", header="content-disposition"): part
                for part in form.get_payload()
            }
            text = words.heard(from_wav(fields["file"].get_payload(decode=True)))
            asked.append(("transcription", text))
            return self.answer(json.dumps({"text": text}).encode(), "application/json")

        def answer(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
