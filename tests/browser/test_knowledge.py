"""Keeping the base, as people do it: four eyes, one edit of many rules, a file of rules.

Chromium drives the real console, a worker at its side.
"""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RULE = {
    "Title": "Balloons by drone",
    "When does it apply?": "When a customer asks whether a drone brings balloons",
    "What is the answer, or what must be done?": "Drones bring up to 3 balloons on weekdays.",
    "How do customers ask it?": "Can a drone bring me balloons?",
}
FILE = """external_id,scene,title,condition,content
gw.kites.sold,shops,Kites for sale,When a customer wants to buy a kite,Kites cost $12 in any shop.
gw.kites.lost,moon,Kites that are lost,When a kite is lost,A lost kite is not replaced.
"""


class TestKnowledge:
    def test_rules_are_approved_changed_together_and_imported(self, signed_in, site):
        with site.working():
            operator = signed_in("olivia")
            submit_rule(operator.page)
            approve_rule(signed_in("anton").page)
            find_rule(operator.page)
            change_words(operator.page)
            undo_change(operator.page)
            import_file(operator.page)


def submit_rule(page):
    """Write a high-risk rule: its author may only send it to an approver."""
    page.goto("/knowledge/new/")
    for label, text in RULE.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_label("Scene").select_option("delivery")
    page.get_by_text("Risk, validity, source and other details").click()
    page.get_by_label("Risk", exact=True).select_option("high")
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_text("waiting for approval")).to_be_visible()
    expect(page.locator("#unit").get_by_text("Draft", exact=True)).to_be_visible()


def approve_rule(page):
    page.goto("/knowledge/review/")
    page.get_by_role("link", name=re.compile(RULE["Title"])).click()
    expect(page.get_by_text("Drones bring up to 3 balloons")).to_be_visible()
    page.get_by_role("button", name="Approve and publish").click()
    expect(page.get_by_text("Live now")).to_be_visible()


def find_rule(page):
    page.goto("/knowledge/")
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_label("A customer's words").fill("would a drone bring some balloons to me")
    page.get_by_role("button", name="Search").click()
    found = page.get_by_role("region", name="The agent is shown")
    expect(found.get_by_role("link", name=re.compile(RULE["Title"]))).to_be_visible()


def change_words(page):
    """Replace a word in every rule that the list's filter finds, after reading the preview."""
    page.goto("/knowledge/?q=voucher")
    page.get_by_role("button", name=re.compile("^Change all")).click()
    page.get_by_label("What shall happen to them?").select_option("replace")
    page.get_by_label("Find", exact=True).fill("voucher")
    page.get_by_label("Replace with").fill("stork")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^Change \d+ rules?$")).click()
    expect(page.get_by_text("Done: the rules are changed.")).to_be_visible()
    expect(page.locator("ins", has_text="stork").first).to_be_visible()


def undo_change(page):
    page.once("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone by")).to_be_visible()
    page.goto("/knowledge/?q=stork")
    expect(page.get_by_text("0 rules match", exact=True)).to_be_visible()


def import_file(page):
    """Check a file first: the line with an unknown scene is told, and nothing is saved."""
    page.goto("/knowledge/imports/")
    payload = {"name": "kites.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    page.get_by_label("File", exact=True).set_input_files(payload)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Check only: nothing was saved.")).to_be_visible()
    refused = page.locator("#report tr", has_text="gw.kites.lost")
    expect(refused).to_contain_text("There is no scene “moon”")
    page.get_by_role("button", name="Import this file now").click()
    expect(page.get_by_text("Rules are written as drafts.")).to_be_visible()
    created = page.locator("#report tr", has_text="gw.kites.sold")
    expect(created).to_contain_text("Created")
    created.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Kites for sale")
