"""Short and long forms of a service's mounts."""

from __future__ import annotations

import pytest

from stack.compose.model import Mount
from stack.compose.mount_section import short_mount
from stack.compose.reader import Unusable

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount("volume", "", "/data")),
        ("data:/d", Mount("volume", "data", "/d")),
        ("data:/d:rw", Mount("volume", "data", "/d")),
        ("data:/d:ro", Mount("volume", "data", "/d", is_read_only=True)),
        ("data:/d:nocopy", Mount("volume", "data", "/d", has_no_copy=True)),
        ("data:/d:ro,nocopy", Mount("volume", "data", "/d", is_read_only=True, has_no_copy=True)),
        ("/srv:/d", Mount("bind", "/srv", "/d")),
        ("/srv:/d:ro", Mount("bind", "/srv", "/d", is_read_only=True)),
        *((f"/srv:/d:{name}", Mount("bind", "/srv", "/d", propagation=name)) for name in PROPAGATIONS),
        ("/srv:/d:ro,rslave", Mount("bind", "/srv", "/d", is_read_only=True, propagation="rslave")),
    ],
)
def test_a_short_form_is_read(text: str, mount: Mount) -> None:
    assert short_mount(text, "volumes[0]") == mount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data",
        ":/d",
        "data:/d:ro:more",
        "data:/d:",
        "data:/d:z",
        "/srv:/d:z",
        "/srv:/d:nocopy",
        *(f"data:/d:{name}" for name in PROPAGATIONS),
    ],
)
def test_a_short_form_that_docker_would_not_take_is_refused(text: str) -> None:
    with pytest.raises(Unusable, match=r"^volumes\[0\]: expected SOURCE:TARGET"):
        short_mount(text, "volumes[0]")


@pytest.mark.parametrize("source", ["./d", "../d", "~/d", "."])
def test_a_path_must_be_whole(source: str) -> None:
    with pytest.raises(Unusable, match=r"^volumes\[0\]: expected an absolute path"):
        short_mount(f"{source}:/d", "volumes[0]")
