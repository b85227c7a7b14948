"""Whom the telephone may reach: refusals first."""

import asyncio
from datetime import datetime

import pytest
from django.test import SimpleTestCase, override_settings

from agents.subagents import GaveUp, outbound
from agents.telephone.numbers import Forbidden, Target, check_hour, key_of, target_of
from dialogues.jobs import phoning  # noqa: F401 (sets the telephone up)
from tests.agents.test_call_flow import CARD, MemoryWork, call

# Asked of nobody here: the call is refused before there is a word to recognise.
SPEECH = {"SPEECH_URL": "http://127.0.0.1:9/v1", "SPEECH_VOICE": "any"}
TRUNK = {"SIP_TRUNK": "trunk.example:5080", "SIP_ALLOW": ["+44 20", "@pbx.example", "7@a.example"]}


@override_settings(**TRUNK)
class TargetTests(SimpleTestCase):
    def refused(self, *addresses):
        for address in addresses:
            with pytest.raises(Forbidden):
                target_of(address)

    def test_a_number_whose_beginning_is_allowed_goes_to_the_trunk(self):
        wanted = Target(
            "sip:+442012345678@trunk.example:5080", "trunk.example", 5080, by_trunk=True
        )
        assert target_of("tel:+44 (20) 1234-5678") == wanted

    def test_a_named_host_is_called_directly_and_without_our_password(self):
        wanted = Target("sip:kitchen@pbx.example", "pbx.example", 5060, by_trunk=False)
        assert target_of("sip:kitchen@pbx.example") == wanted

    def test_a_named_address_is_called_but_not_its_neighbour(self):
        assert target_of("sip:7@a.example").host == "a.example"
        self.refused("sip:8@a.example")

    def test_other_numbers_are_refused(self):
        self.refused("tel:+1 900 555 0100", "tel:+4415550100", "tel:0044201234567")

    def test_services_and_what_is_no_number_are_refused(self):
        with override_settings(SIP_ALLOW=["1", "9", "+"]):
            self.refused("tel:112", "tel:911", "tel:*31#", "tel:+44x", "tel:", "tel:999999")

    def test_other_hosts_are_refused_the_trunk_too(self):
        self.refused("sip:+19005550100@trunk.example:5080", "sip:kitchen@pbx.example.evil.example")
        self.refused("sip:kitchen@evil.example", "sip:kitchen@pbx.example:5090")

    def test_an_address_holds_nothing_but_a_name_and_a_host(self):
        self.refused(
            "sip:kitchen@pbx.example;maddr=10.0.0.1",
            "sip:kitchen@pbx.example?Route=x",
            "sip:kitchen@evil.example@pbx.example",
            "sip:kitchen\r\nX: y@pbx.example",
            "sip:a b@pbx.example",
            "sip:@pbx.example",
            "sip:pbx.example",
        )

    def test_an_empty_list_allows_nobody(self):
        with override_settings(SIP_ALLOW=[]):
            self.refused("tel:+442012345678", "sip:kitchen@pbx.example")

    def test_numbers_need_a_trunk(self):
        with override_settings(SIP_TRUNK=""):
            self.refused("tel:+442012345678")


class TimeTests(SimpleTestCase):
    def at(self, hour):
        check_hour(datetime(2026, 3, 4, hour, 30))  # noqa: DTZ001 (a clock on a wall)

    @override_settings(QUIET_FROM_HOUR=21, QUIET_UNTIL_HOUR=8)
    def test_nobody_is_called_at_night(self):
        for hour in (21, 23, 0, 7):
            with pytest.raises(Forbidden, match="between 21:00 and 8:00"):
                self.at(hour)
        self.at(8)
        self.at(20)

    @override_settings(QUIET_FROM_HOUR=12, QUIET_UNTIL_HOUR=14)
    def test_a_pause_within_a_day(self):
        with pytest.raises(Forbidden):
            self.at(13)
        self.at(14)

    @override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
    def test_equal_hours_are_never_quiet(self):
        self.at(3)


class KeyTests(SimpleTestCase):
    def test_a_number_has_one_key_however_it_is_written(self):
        for written in (
            *("+44 (20) 1234-5678", "tel:+442012345678", "00442012345678", "TEL:+44.20.1234.5678"),
            *("sip:+442012345678@trunk.example", "442012345678", "sip:+442012345678@any:5080"),
        ):
            assert key_of(written) == "442012345678", written

    def test_an_address_has_one_key_with_and_without_the_usual_port(self):
        for written in ("sip:Kitchen@PBX.example", "kitchen@pbx.example:5060"):
            assert key_of(written) == "kitchen@pbx.example"
        assert key_of("kitchen@pbx.example:5080") == "kitchen@pbx.example:5080"

    def test_what_is_neither_has_none(self):
        for written in ("", "  ", "112", "kitchen", "link:", "a b@c", "+44x", "k@h\0"):
            assert key_of(written) == "", written


class WhoseAddressTests(SimpleTestCase):
    def test_the_record_says_the_number_and_arguments_never_do(self):
        addresses = {"*": "tel:{phone}", "Burger Yard": "link:"}
        record = {"phone": "+442012345678"}
        assert outbound._address(addresses, "Golden Wok", record) == "tel:+442012345678"
        assert outbound._address(addresses, "Burger Yard", {}) == "link:"
        for nothing in ({}, {"phone": ""}, {"phone": None}):
            with pytest.raises(GaveUp, match="has no phone"):
                outbound._address(addresses, "Golden Wok", nothing)

    def test_a_model_that_names_a_number_reaches_nobody(self):
        work = MemoryWork({"phone": "+19005550100"})
        card = {**CARD, "whom": {"name": "Golden Wok"}}
        work.memory = {"plan": {"card": card, "look_up": "", "addresses": {"*": "tel:{phone}"}}}
        with pytest.raises(GaveUp, match="has no phone"):
            asyncio.run(outbound.call(work))

    def test_what_a_record_holds_is_no_more_than_an_address(self):
        record = {"phone": "+442012345678;phone-context=evil.example"}
        address = outbound._address({"*": "tel:{phone}"}, "Golden Wok", record)
        with override_settings(**TRUNK), pytest.raises(Forbidden):
            target_of(address)

    @override_settings(**TRUNK, **SPEECH, QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
    def test_a_call_to_a_forbidden_number_is_given_up_before_anything_is_sent(self):
        with pytest.raises(GaveUp, match="Nobody was called"):
            call("tel:+19005550100")

    def test_a_telephone_that_is_not_set_up_says_what_it_lacks(self):
        with override_settings(SIP_ALLOW=[]), pytest.raises(GaveUp, match="SIP_ALLOW is empty"):
            call("tel:+442012345678")
