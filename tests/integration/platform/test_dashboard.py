"""rq-dashboard in a real browser, on either engine: its pages show the calls and the worker that are there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from tests.support.browser import Browser, Page
from tests.support.platform import Platform
from tests.support.waiting import wait_until


def test_the_dashboard_shows_calls_and_the_worker(any_platform: Platform, tmp_path: Path) -> None:
    platform = any_platform
    ended = platform.send("wordcount", b"three words here")
    running = platform.send("sleep", b"600")
    wait_until(lambda: platform.status(ended)["state"] == "succeeded", 60)
    wait_until(lambda: platform.status(running)["state"] == "running", 60)
    browser = Browser(tmp_path / "profile")
    try:
        page = _open(browser, platform, "/ui/rq/")
        assert "wordcount" in page.text
        page = _open(browser, platform, f"/ui/rq/0/view/job/{ended}")
        assert f"Job ID : {ended}" in page.text
        assert "Status : finished" in page.text
        page = _open(browser, platform, "/ui/rq/0/view/jobs/sleep/started/8/asc/1")
        assert running in page.text
        page = _open(browser, platform, "/ui/rq/0/view/workers")
        assert "No workers" not in page.text
        assert running in page.document
    finally:
        platform.cancel(running)


def _open(browser: Browser, platform: Platform, path: str) -> Page:
    user, password = (quote(word, safe="") for word in platform.credentials)
    page = browser.open(f"http://{user}:{password}@{platform.url.removeprefix('http://')}{path}")
    assert page.console == []
    assert "Loading..." not in page.text
    return page
