"""What pages of functions and of other sites attempt while the admin is logged in."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.browser_session import BrowserSession
from tests.support.gateway import PASSWORD, USER, GatewayProcess
from tests.support.http import RecordingServer
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess

PLANTED = json.dumps({"service": "planted", "image": "any:1", "envProcess": "sh -c id"})
SCRIPT = (
    f"<script>fetch('/system/functions',{{method:'POST',body:{PLANTED!r}}}).finally(()=>document.title='done')</script>"
)

HANDLER = """
import json, os

def handle(event, context):
    with open(NOTES, "a") as notes:
        notes.write(json.dumps([dict(event.headers), dict(os.environ)]) + "\\n")
    if event.path == "/ask":
        return {"statusCode": 401, "headers": {"WWW-Authenticate": 'Basic realm="Restricted"'}, "body": "who?"}
    if event.path == "/move":
        return {"statusCode": 307, "headers": {"Location": "/system/functions"}, "body": ""}
    body = event.body.decode() if isinstance(event.body, bytes) else event.body
    return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>page</p>" + body}
"""


@pytest.fixture
def notes(tmp_path: Path, gateway: GatewayProcess) -> Iterator[Path]:
    """What the function `page` was given, a line for each call. It repeats what it is sent, as HTML."""
    notes, folder = tmp_path / "notes", tmp_path / "page"
    notes.touch()
    folder.mkdir()
    (folder / "handler.py").write_text(HANDLER.replace("NOTES", repr(str(notes))))
    gateway.deploy("page", image=f"dir:{folder}", envProcess="")
    yield notes
    gateway.remove_all()


@pytest.fixture
def logged_in(tmp_path: Path, gateway: GatewayProcess) -> Iterator[BrowserSession]:
    """A browser that knows the admin's credentials, as after a look at the gateway's pages."""
    with BrowserSession(tmp_path / "profile") as browser:
        browser.open(f"http://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@{gateway.address}/ui/")
        assert browser.value("document.querySelector('h1').textContent") == "Functions"
        yield browser


def has_planted(gateway: GatewayProcess) -> bool:
    return gateway.get("/system/function/planted").status_code == 200


def form_to(url: str, content: str) -> RecordingServer:
    """Another site, whose page posts a form with `content` in it to `url` as soon as it is open."""
    page = (
        f'<form method="post" enctype="text/plain" action="{url}">'
        f'<input name="{html.escape(content)}" value=""></form><script>document.forms[0].submit()</script>'
    )
    return RecordingServer(lambda request: (200, [("Content-Type", "text/html")], page.encode()))


def test_the_login_is_one_that_the_management_api_takes(logged_in: BrowserSession, gateway: GatewayProcess) -> None:
    # Without this the attacks below would fail for another reason.
    logged_in.open(f"{gateway.url}/system/functions")
    assert logged_in.value("document.body.textContent").strip() == "[]"


def test_a_form_to_a_function_that_repeats_it_gives_no_access_to_management(
    logged_in: BrowserSession, gateway: GatewayProcess, notes: Path
) -> None:
    with form_to(f"{gateway.url}/function/page", SCRIPT) as site:
        logged_in.open(site.url)
        wait_until(lambda: logged_in.value("document.title") == "done", message="the attack's script has run")
    assert logged_in.value("location.pathname") == "/function/page"
    assert logged_in.value("origin") == "null"
    assert not has_planted(gateway)


def test_a_function_that_moves_a_form_on_to_management_gives_no_access(
    logged_in: BrowserSession, gateway: GatewayProcess, notes: Path
) -> None:
    with form_to(f"{gateway.url}/function/page/move", PLANTED[:-1] + ', "x": "') as site:
        logged_in.open(site.url)
    assert logged_in.value("location.pathname") == "/system/functions"
    assert "a page of another site sent this change" in logged_in.value("document.body.textContent")
    assert not has_planted(gateway)


def test_a_link_to_a_stored_result_gives_no_access_to_management(
    logged_in: BrowserSession, gateway: GatewayProcess, worker: WorkerProcess, notes: Path
) -> None:
    location = gateway.post("/async-function/page", data=SCRIPT.encode(), auth=None).headers["Location"]
    wait_until(lambda: gateway.get(f"{location}/result").status_code == 200, message="there is a result")
    page = f'<a href="{gateway.url}{location}/result">a</a><script>document.links[0].click()</script>'
    with RecordingServer(lambda request: (200, [("Content-Type", "text/html")], page.encode())) as site:
        logged_in.open(site.url)
        logged_in.settle()
        assert logged_in.value("location.href") == site.url  # it became a download
    assert not has_planted(gateway)


def test_a_function_that_asks_for_the_admins_password_is_not_given_it(
    logged_in: BrowserSession, gateway: GatewayProcess, notes: Path
) -> None:
    logged_in.open(f"{gateway.url}/function/page/ask")
    logged_in.open(f"{gateway.url}/function/page")
    seen = [json.loads(line) for line in notes.read_text().splitlines()]
    assert len(seen) >= 2
    for headers, environment in seen:
        assert "authorization" not in {name.lower() for name in headers}
        assert PASSWORD not in str(environment)
    logs = "".join(path.read_text(errors="replace") for path in gateway.state_dir.rglob("*.log"))
    assert PASSWORD not in logs + gateway.log()
