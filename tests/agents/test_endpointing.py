"""When somebody speaks, on made-up lines: no network and no model."""

import numpy as np
from django.test import SimpleTestCase

from agents.sounds import Sound, UnreadableSound, from_wav
from agents.telephone.endpointing import FRAME_BYTES, RATE, BeepDetector, Endpointer

DICE = np.random.default_rng(7)


def voice(seconds, loud=0.1):
    """Return two tones under a syllable's rhythm."""
    at = np.arange(int(RATE * seconds)) / RATE
    tones = np.sin(2 * np.pi * 220 * at) + np.sin(2 * np.pi * 900 * at)
    return tones / 2 * loud * (0.7 + 0.3 * np.sin(2 * np.pi * 4 * at))


def silence(seconds):
    return np.zeros(int(RATE * seconds))


def line(*parts, noise=0.0):
    wave = np.concatenate(parts)
    wave = wave + DICE.normal(0, noise, len(wave)) if noise else wave
    pcm = (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


def heard(frames):
    ear = Endpointer()
    for frame in frames:
        ear.feed(frame)
    return ear


class EndpointerTests(SimpleTestCase):
    def lengths(self, *parts, noise=0.0):
        return [round(one.seconds, 1) for one in heard(line(*parts, noise=noise)).finished]

    def test_silence_is_nothing(self):
        assert self.lengths(silence(3)) == []

    def test_an_utterance_ends_after_a_silence(self):
        [length] = self.lengths(silence(1), voice(1), silence(1.5))
        assert 1.6 < length < 2.1

    def test_a_short_pause_does_not_end_it(self):
        assert len(self.lengths(silence(1), voice(0.5), silence(0.4), voice(0.5), silence(1))) == 1

    def test_a_long_pause_does(self):
        assert len(self.lengths(silence(1), voice(0.5), silence(1), voice(0.5), silence(1))) == 2

    def test_a_click_is_no_utterance(self):
        assert self.lengths(silence(1), voice(0.05), silence(1)) == []

    def test_steady_noise_becomes_the_floor(self):
        for noise in (0.001, 0.01):
            assert len(self.lengths(silence(3), voice(1), silence(2), noise=noise)) in (1, 2)
            ear = heard(line(silence(4), noise=noise))
            assert not ear.is_speaking

    def test_a_voice_is_heard_over_noise(self):
        ear = heard(line(silence(3), voice(1), noise=0.01))
        assert ear.voiced_seconds > 0.7

    def test_nobody_is_listened_to_without_end(self):
        [length, *_] = self.lengths(voice(40))
        assert length == 30

    def test_a_pause_is_known_before_the_end(self):
        ear = heard(line(silence(1), voice(1), silence(0.4)))
        assert ear.is_pausing
        assert ear.is_speaking
        assert not ear.finished


class BeepTests(SimpleTestCase):
    def beeps(self, *parts):
        detector = BeepDetector()
        return sum(detector.feed(frame) for frame in line(*parts))

    def test_a_tone_is_a_beep_once(self):
        at = np.arange(RATE) / RATE
        assert self.beeps(silence(0.5), np.sin(2 * np.pi * 1000 * at) * 0.2) == 1

    def test_a_voice_is_none(self):
        assert self.beeps(voice(3)) == 0

    def test_a_short_tone_is_none(self):
        at = np.arange(RATE // 10) / RATE
        assert self.beeps(np.sin(2 * np.pi * 1000 * at) * 0.2, silence(0.5)) == 0


class SoundTests(SimpleTestCase):
    def tone(self, hertz, rate):
        at = np.arange(rate) / rate
        return Sound((np.sin(2 * np.pi * hertz * at) * 12000).astype("<i2").tobytes(), rate)

    def level(self, sound):
        return float(np.abs(np.frombuffer(sound.pcm, "<i2")[400:-400].astype(float)).mean())

    def test_a_wav_comes_back_as_it_went(self):
        sound = self.tone(500, 8000)
        assert from_wav(sound.as_wav()) == sound

    def test_another_rate_keeps_what_it_can_hold_and_no_more(self):
        low, high = self.tone(1000, 22050).at(8000), self.tone(6000, 22050).at(8000)
        assert abs(low.seconds - 1) < 0.001
        assert self.level(low) > 0.95 * self.level(self.tone(1000, 8000))
        assert self.level(high) < 0.01 * self.level(low)

    def test_more_samples_keep_the_tone(self):
        assert self.level(self.tone(1000, 8000).at(16000)) > 7000

    def test_what_is_no_wav_is_refused(self):
        for data in (b"", b"RIFF", b"x" * 100):
            with self.assertRaises(UnreadableSound):
                from_wav(data)
