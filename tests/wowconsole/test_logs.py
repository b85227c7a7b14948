"""What stands in the log of what went wrong, and of what was only refused."""

import logging
import sys

from wowconsole.logs import formatter


def line(status):
    record = logging.LogRecord("django.request", logging.WARNING, __file__, 1, "said", (), None)
    record.status_code = status
    try:
        raise RuntimeError("deep inside")
    except RuntimeError:
        record.exc_info = sys.exc_info()
    return formatter().format(record)


def test_a_fault_of_ours_is_logged_with_its_trace():
    assert "deep inside" in line(500)


def test_a_refusal_is_one_line():
    assert "deep inside" not in line(403)
    assert "said" in line(403)
