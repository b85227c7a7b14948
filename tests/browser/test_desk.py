"""The desk in a browser: nothing typed is lost, nothing is said twice or for a colleague."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from dialogues.desk import control
from tests.factories import make_conversation, make_user, say

pytestmark = pytest.mark.browser

ANSWER = "A long careful answer, typed before anybody had taken it."
VOUCHER = "Your voucher is on its way."


@pytest.fixture(scope="module", autouse=True)
def beside_playwright():
    """Let Django work in a thread in which Playwright keeps a loop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


def who_waits():
    conversation = make_conversation(scene=None)
    say(conversation, "My soup came cold")
    control.ask_for_person(conversation=conversation)
    connection.close()
    return conversation


@pytest.fixture
def open_desk(browser, live_server):
    """Return a function that opens the desk of one waiting customer for somebody new."""
    with ThreadPoolExecutor(1) as thread:  # without Playwright's loop
        conversation = thread.submit(who_waits).result()
    url, contexts = reverse("dialogues:desk", args=[conversation.public_id]), []

    def enter():
        client = Client()
        client.force_login(make_user("operator"))
        name, address = settings.SESSION_COOKIE_NAME, live_server.url
        context = browser.new_context(base_url=address)
        contexts.append(context)
        cookie = {"name": name, "value": client.cookies[name].value, "url": address}
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(url)
        return page

    yield enter
    for context in contexts:
        context.close()


def take_over(page):
    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_text("You hold it")).to_be_visible()


def test_what_was_typed_outlives_a_takeover_and_an_answer(open_desk):
    page = open_desk()
    answer = page.get_by_label("Your answer")
    summary = page.get_by_label("What you did, for the agent")
    answer.fill(ANSWER)
    take_over(page)
    expect(answer).to_have_value(ANSWER)
    summary.fill("Voucher promised")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#talk").get_by_text(ANSWER)).to_have_count(1)
    expect(answer).to_have_value("")
    expect(summary).to_have_value("Voucher promised")


def test_one_form_sent_twice_is_one_answer(open_desk):
    page = open_desk()
    take_over(page)
    page.get_by_label("Your answer").fill(VOUCHER)
    form, send = page.locator("#reply"), page.locator("#sending .btn-primary")
    form.evaluate("form => form.addEventListener('submit', event => event.preventDefault())")
    send.click()  # on a line so slow that nothing comes back
    expect(send).to_be_disabled()
    for _ in range(2):
        form.evaluate("form => fetch(form.action, { method: 'POST', body: new FormData(form) })")
    expect(page.locator("#talk").get_by_text(VOUCHER)).to_have_count(1)


def test_an_open_page_follows_who_holds_the_conversation(open_desk):
    page, colleagues = open_desk(), open_desk()
    expect(colleagues.get_by_role("button", name="Hand back to the agent")).to_be_visible()
    take_over(page)
    expect(colleagues.get_by_text("take it over before you hand it back")).to_be_visible()
    expect(colleagues.get_by_role("button", name="Hand back to the agent")).to_have_count(0)
    take_over(colleagues)
    expect(colleagues.get_by_label("What you did, for the agent")).to_be_visible()
    expect(page.get_by_label("What you did, for the agent")).to_have_count(0)
