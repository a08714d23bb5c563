from __future__ import annotations

import pytest

from fwatchdog.http.addresses import HttpAddress


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:3000", ("127.0.0.1", 3000, "")),
        ("http://localhost:3000/", ("localhost", 3000, "")),
        ("http://localhost", ("localhost", 80, "")),
        ("http://[::1]:5000/base/", ("::1", 5000, "/base")),
    ],
)
def test_url_of_a_server(url: str, address: tuple[str, int, str]) -> None:
    assert HttpAddress.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:3000",
        "https://f:1",
        "http://",
        "http://f:0",
        "http://f:70000",
        "http://f/?x",
        "http://a b",
        "http://u@f/",
    ],
)
def test_what_is_no_url_of_a_server(url: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        HttpAddress.parse(url)
