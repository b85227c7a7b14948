"""Speech out of text: eSpeak NG as it is, and a speech engine of the test."""

import pytest
from django.test import SimpleTestCase, override_settings

from agents import checks, speaking
from agents.speaking import SpeakingUnavailable, speak, voice_of
from agents.subagents import sip
from tests.voices import Words, speech_server


@override_settings(SPEECH_URL="", SPEECH_VOICE="")
@pytest.mark.skipif(not speaking.can_speak(), reason="eSpeak NG is not installed")
class EspeakTests(SimpleTestCase):
    def test_english_and_chinese_are_spoken(self):
        for text in ("About twenty-five minutes.", "大概二十五分钟。"):
            sound = speak(text)
            assert 0.5 < sound.seconds < 4, text

    def test_the_voice_is_that_of_the_text(self):
        assert voice_of("Is Golden Wok 金 there?") == "en"
        assert voice_of("您好,我是Greenway的语音助手") == "cmn"

    def test_words_are_words_and_never_a_command(self):
        text = "$(touch /tmp/x); `id` -w /tmp/y --voices <b>[[hello]]</b> \x00 ' \""
        assert speak(text).seconds > 1

    def test_nothing_is_silence(self):
        assert speak("  \n").pcm == b""

    @pytest.mark.skipif(not speaking.is_embedded(), reason="The bundled eSpeak NG is missing")
    def test_after_a_crash_the_next_text_is_spoken_again(self):
        speak("One.")
        speaking._child().process.kill()
        speaking._child().process.wait()
        assert speak("Two.").seconds > 0.2

    def test_an_unknown_voice_is_a_failure_and_not_a_crash(self):
        with pytest.raises(SpeakingUnavailable):
            speaking._by_espeak("Hello", "no-such-voice")


class EngineTests(SimpleTestCase):
    def test_the_engine_speaks_where_it_has_a_voice(self):
        server = speech_server(Words())
        with server as (url, asked), override_settings(SPEECH_URL=url, SPEECH_VOICE="anna"):
            sound = speak("Hello  there")
        assert asked == [("speech", "Hello there")]
        assert sound.rate == 8000
        assert sound.seconds > 0.1

    @override_settings(SPEECH_URL="http://127.0.0.1:9/v1", SPEECH_VOICE="anna")
    def test_an_engine_that_is_away_is_said_so(self):
        with pytest.raises(SpeakingUnavailable):
            speak("Hello")


class CheckTests(SimpleTestCase):
    def found(self, **settings):
        plain = {"SIP_TRUNK": "", "SIP_ALLOW": [], "SIP_PORTS": "", "SIP_ADVERTISE": ""}
        with override_settings(**{**plain, **settings}):
            return [message.id for message in checks.telephone()]

    def test_without_a_telephone_nothing_is_checked(self):
        assert self.found() == []
        assert self.found(SIP_PORTS="nonsense") == []

    def test_what_is_lacking_is_said(self):
        assert "agents.W001" in self.found(SIP_TRUNK="trunk.example")
        with override_settings(SIP_ALLOW=[]):
            assert any("SIP_ALLOW" in sentence for sentence in sip.missing())

    def test_what_is_unreadable_is_said(self):
        wrong = {"SIP_PORTS": "9-x", "SIP_TRUNK": "trunk:x", "SIP_ADVERTISE": "our.example"}
        found = self.found(SIP_ALLOW=["+44"], **wrong)
        assert {"agents.E001", "agents.E002", "agents.E003"} <= set(found)

    def test_ports_are_a_range(self):
        assert sip.ports_of("") == sip.PORTS
        assert sip.ports_of("40000-40199") == (40000, 40199)
        for text in ("a-b", "5-4", "0-9", "1-70000"):
            with pytest.raises(ValueError, match=r".+"):
                sip.ports_of(text)
