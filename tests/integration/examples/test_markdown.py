"""The markdown example: real Markdown to HTML, and a word on what comes next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

Call = Callable[..., Any]

TEXT = """\
# Über *dies*

| a | b |
|---|--:|
| 1 | 2 |

```python
print("<hello> & goodbye")
```
"""


def test_tables_and_fenced_code_become_html(call: Call) -> None:
    reply = call("markdown", TEXT.encode())
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Über <em>dies</em></h1>" in reply.text
    assert "<td>1</td>" in reply.text
    assert '<pre><code class="language-python">print(&quot;&lt;hello&gt; &amp; goodbye&quot;)' in reply.text


def test_the_readme_of_this_project_is_rendered_whole(call: Call, examples: Path) -> None:
    readme = (examples.parent / "README.md").read_bytes()
    html = call("markdown", readme).text
    assert html.startswith("<h1>swarmfn</h1>")
    assert html.count("<h2>") == sum(line.startswith(b"## ") for line in readme.splitlines())
    assert "python3 deploy_extended.py" in html
    assert "```" not in html


def test_a_body_that_is_not_utf_8_is_refused(call: Call) -> None:
    reply = call("markdown", b"\xff\xfe")
    assert reply.status == 400
    assert reply.text.startswith("markdown: ")


def test_nothing_comes_next_unless_it_was_asked_for(call: Call) -> None:
    assert "x-callback-url" not in call("markdown", b"x").headers


def test_the_url_of_then_is_passed_on(call: Call) -> None:
    url = "http://gateway:8080/function/notify?x=1"
    assert call("markdown", b"x", target=f"/?then={quote(url)}").headers["x-callback-url"] == url


@pytest.mark.parametrize("url", ["notify", "ftp://x/", "http://x/\r\nSet-Cookie: a=b", "http://x/é"])
def test_a_then_that_is_no_url_is_refused_and_makes_no_header(call: Call, url: str) -> None:
    reply = call("markdown", b"x", target=f"/?then={quote(url)}")
    assert reply.status == 400
    assert not {"x-callback-url", "set-cookie"} & set(reply.headers)
