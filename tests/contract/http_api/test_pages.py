"""The start page."""

from __future__ import annotations

from pathlib import Path

from tests.support.gateway import GatewayProcess
from tests.support.waiting import wait_until


def test_the_root_leads_to_the_start_page(gateway: GatewayProcess) -> None:
    response = gateway.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/ui/")
    assert gateway.get("/ui").headers["Location"] == "/ui/"


def test_without_functions_it_says_how_to_deploy_one(gateway: GatewayProcess) -> None:
    page = gateway.get("/ui/")
    assert page.status_code == 200
    assert "No function is deployed yet" in page.text
    assert 'href="/ui/rq/"' in page.text


def test_functions_are_listed_with_their_state_and_values_escaped(gateway: GatewayProcess) -> None:
    gateway.deploy("echo", image="<script>alert('x')</script>")
    gateway.deploy("idle")
    gateway.post("/system/scale-function/idle", json={"replicas": 0})
    page = gateway.get("/ui/").text
    assert "1 of 1" in page
    assert "Scaled to 0" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)" in page


def test_a_function_that_cannot_start_says_why(gateway: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("raise RuntimeError('no <b>luck</b>')\n")
    body = {"service": "broken", "image": f"dir:{tmp_path}"}
    assert gateway.post("/system/functions", json=body).status_code == 202
    wait_until(lambda: 'class="problem"' in gateway.get("/ui/").text, message="the page shows the problem")
    page = gateway.get("/ui/").text
    assert "Not ready" in page
    assert "<b>" not in page


def test_it_loads_nothing_from_elsewhere_and_cannot_be_framed(gateway: GatewayProcess) -> None:
    page = gateway.get("/ui/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "http" not in page.text.replace("http-equiv", "")
    for path in ("/ui/static/ui.css", "/ui/static/icon.svg"):
        asset = gateway.get(path)
        assert asset.status_code == 200
        assert asset.headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_gets_problems_below_the_pages_as_a_page(gateway: GatewayProcess) -> None:
    page = gateway.get("/ui/<b>nothing</b>", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<b>" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")


def test_what_functions_answer_is_given_no_headers_of_the_pages(gateway: GatewayProcess) -> None:
    gateway.deploy("page", envVars={"content_type": "text/html"})
    response = gateway.post("/function/page", data=b"<p>mine</p>")
    assert response.content == b"<p>mine</p>"
    assert response.headers["Content-Security-Policy"] == "sandbox allow-forms allow-scripts"
    assert not {"X-Frame-Options", "X-Content-Type-Options"} & set(response.headers)
