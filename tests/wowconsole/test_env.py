"""Variables are read strictly."""

import os
import tempfile
from pathlib import Path
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from wowconsole.env import env_bool, env_int, env_json, env_list, env_secret, env_text


def given(**variables):
    return mock.patch.dict(os.environ, variables)


class EnvTests(SimpleTestCase):
    def test_an_empty_value_counts_as_absent(self):
        with given(X=""):
            assert env_text("X", default="d") == "d"
            assert env_int("X", default=3) == 3
            assert env_bool("X", default=True) is True
            assert env_secret("X") is None

    def test_lists(self):
        with given(X=" a, b,,c ,"):
            assert env_list("X", default="") == ["a", "b", "c"]
        assert env_list("NOT_THERE", default="") == []

    def test_only_true_and_false_are_truth_values(self):
        for text, value in (("true", True), ("True", True), ("FALSE", False)):
            with given(X=text):
                assert env_bool("X", default=not value) is value
        for text in ("1", "yes", "0", "on", "tru"):
            with given(X=text), self.assertRaisesMessage(ImproperlyConfigured, "X is"):
                env_bool("X", default=False)

    def test_whole_numbers_only(self):
        with given(X="-12"):
            assert env_int("X", default=0) == -12
        for text in ("1.5", "ten", "1s", "0x10"):
            with given(X=text), self.assertRaisesMessage(ImproperlyConfigured, "X is"):
                env_int("X", default=0)

    def test_a_secret_may_stand_in_a_file(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "secret"
        path.write_text("from file\n", encoding="utf-8")
        with given(X="from variable", X_FILE=str(path)):
            assert env_secret("X") == "from file"
        with given(X="from variable"):
            assert env_secret("X") == "from variable"

    def test_a_file_that_says_nothing_stops_the_process(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "secret"
        with given(X="y", X_FILE=str(path)), self.assertRaises(FileNotFoundError):
            env_secret("X")
        path.write_text(" \n", encoding="utf-8")
        with given(X="y", X_FILE=str(path)), self.assertRaises(ImproperlyConfigured):
            env_secret("X")

    def test_objects_are_json(self):
        with given(X='{"bucket": "b"}'):
            assert env_json("X", default="{}") == {"bucket": "b"}
        with given(X=""):
            assert env_json("X", default="{}") == {}
        for text in ("[]", "{", "1"):
            with given(X=text), self.assertRaisesMessage(ImproperlyConfigured, "X is no JSON"):
                env_json("X", default="{}")
