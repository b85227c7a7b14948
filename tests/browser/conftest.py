"""Chromium, the running console, and people who use it."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from agents.embedded.weights import WeightsUnavailable
from tests.browser.people import Customer, Person
from tests.browser.scripting import Scripted, pages
from tests.browser.serving import serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-lcd-text",  # coloured edges would double the size of pictures
]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    try:
        with serve(tmp_path_factory.mktemp("site")) as running:
            yield running
    except WeightsUnavailable as missing:
        pytest.skip(str(missing).splitlines()[0])


@pytest.fixture
def invite(site, browser):
    """Return a function that seats a Person; at the end nobody may have had trouble."""
    guests = []

    def seat(kind=Person, **options):
        guests.append(kind(browser, site.address, **options))
        return guests[-1]

    yield seat
    troubles = [trouble for guest in guests for trouble in guest.troubles]
    for guest in guests:
        guest.context.close()
    assert not troubles


@pytest.fixture
def signed_in(invite):
    def enter(username):
        person = invite()
        person.log_in(username)
        return person

    return enter


@pytest.fixture
def customer(invite):
    return invite(Customer)


@pytest.fixture
def invite_chat(invite):
    """Return a function that seats another customer."""
    return lambda: invite(Customer)


@pytest.fixture(scope="module")
def address():
    with pages() as running:
        yield running


@pytest.fixture
def seat(browser, address):
    """Return a function that opens a window; at the end nothing may have failed in any."""
    windows, failures = [], []

    def open_one(**options):
        chat = Scripted(browser, address, **options)
        chat.page.on("pageerror", lambda error: failures.append(str(error)))
        windows.append(chat)
        return chat

    yield open_one
    for chat in windows:
        chat.context.close()
    assert failures == []
