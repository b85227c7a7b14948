"""From judgements to a model that answers: an ML engineer in the browser, a real gpu worker.

The small real model is trained for a step or two: enough for all that happens around it.
"""

import pytest
from playwright.sync_api import expect

from tests.browser import pictures

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RUN = "from-good-talks"
TRAINING_MS = 300_000


@pytest.fixture(scope="module", autouse=True)
def workers(site):
    with site.working():
        yield


class TestTraining:
    def test_a_run_makes_a_model_that_answers_and_can_be_taken_back(self, signed_in, invite_chat):
        engineer = signed_in("mei")
        build_dataset(engineer.page)
        launch(engineer.page, RUN)
        watch(engineer)
        make_live(engineer.page, RUN)
        assert who_answers(invite_chat()) == f"{RUN}-release"
        roll_back(engineer.page)
        assert who_answers(invite_chat()) == "starter-1"
        cancel_another(engineer.page)

    def test_an_operator_can_not_launch(self, signed_in):
        page = signed_in("olivia").page
        answer = page.request.get("/training/runs/new/")
        assert answer.status in {403, 404}
        assert page.request.get("/training/").status == 200


def build_dataset(page):
    page.goto("/training/datasets/new/")
    page.get_by_label("Name").fill("Good talks")
    page.get_by_label("Imported dialogues").uncheck()
    page.get_by_label("Published rules").uncheck()
    page.get_by_label("Limit").fill("6")
    page.get_by_role("button", name="Build").click()
    expect(page.get_by_role("heading", name="Good talks", level=1)).to_be_visible()


def launch(page, name):
    page.goto("/training/runs/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Starts from").select_option(label="starter")
    page.get_by_label("Epochs").fill("1")
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def watch(engineer):
    """The page follows the run by itself: steps, a curve, and the model at the end."""
    page = engineer.page
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=TRAINING_MS)
    expect(page.locator("svg[role=img], figure svg").first).to_be_visible()
    pictures.take(engineer, "training")


def make_live(page, name):
    page.get_by_role("link", name="Make a release of this model").click()
    expect(page.get_by_label("Name")).to_have_value(f"{name}-release")
    page.get_by_role("button", name="Make it live now").click()
    expect(page.get_by_text(f"{name}-release is live")).to_be_visible()


def roll_back(page):
    page.goto("/agents/")
    page.get_by_role("button", name="Go back to the previous release").click()
    expect(page.get_by_text("Back on starter-1")).to_be_visible()


def cancel_another(page):
    launch(page, "to-be-cancelled")
    page.get_by_role("button", name="Cancel").first.click()
    expect(page.get_by_text("Cancelled").first).to_be_visible(timeout=60_000)


def who_answers(customer):
    """Begin a conversation and return the release on the first reply."""
    customer.page.goto("/chat/")
    customer.say("How long do refunds to my wallet take?")
    customer.wait_for_reply(1)
    replies = [frame for _, frame in customer.heard("message") if frame["role"] == "agent"]
    return replies[0]["release"]
