"""Functions that `up` deploys as processes: what happened to each is reported, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from swarmfn.provider.local import stop_all
from tests.integration.stack.conftest import kill_all
from tests.support.checkout import Checkout
from tests.support.local_stack import Completed, Stack

ANSWERS = "def handle(req):\n    return 'version {}'\n"
BROKEN = "raise RuntimeError('no luck today')\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


@pytest.fixture
def stack(checkout: Checkout, tmp_path: Path) -> Iterator[Stack]:
    """Not started yet."""
    stack = Stack(tmp_path, checkout.root)
    yield stack
    stack.run("down", "--purge")
    kill_all(stack.state)
    stop_all(stack.state.root, timeout=0)


def up(stack: Stack) -> Completed:
    """Where no package can be had, which is known at once."""
    return stack.up_with_examples(PIP_NO_INDEX="1")


def answer(stack: Stack, name: str) -> str:
    return requests.post(f"{stack.url}/function/{name}", data=b"", timeout=10).text


def test_examples_that_cannot_run_are_named_with_the_reason_and_stop_no_other(stack: Stack, checkout: Checkout) -> None:
    checkout.add("absent", fprocess="no-such-program")
    checkout.add("broken", {"handler.py": BROKEN})
    checkout.add("hungry", {"handler.py": ANSWERS, "requirements.txt": "no-such-package==1.0\n"})
    checkout.add("well", {"handler.py": ANSWERS.format(1)})
    done = up(stack)
    assert done.returncode == 1
    reasons = dict(line.strip().split(": ", 1) for line in done.stderr.splitlines() if line.startswith("  "))
    assert set(reasons) == {"absent", "broken", "hungry"}
    assert 'no program "no-such-program" was found on this machine' in reasons["absent"]
    assert "no luck today" in reasons["broken"]
    assert "cannot install requirements.txt" in reasons["hungry"]
    for text in (stack.url, f"{stack.url}/ui/", str(stack.state.credentials)):
        assert text in done.stdout
    assert "nothing to do" not in done.stdout
    assert answer(stack, "well") == "version 1"

    for name in ("absent", "broken", "hungry"):
        checkout.add(name, {"handler.py": ANSWERS.format(2)})
    again = up(stack)
    assert again.returncode == 0, again.stderr
    assert answer(stack, "hungry") == "version 2"


def test_an_update_that_fails_is_an_error_though_the_version_before_serves(stack: Stack, checkout: Checkout) -> None:
    checkout.add("well", {"handler.py": ANSWERS.format(1)})
    first = up(stack)
    assert first.returncode == 0, first.stderr
    assert "well: ready" in first.stderr
    checkout.add("well", {"handler.py": BROKEN})
    for what in ("updating", "trying again"):
        done = up(stack)
        assert done.returncode == 1
        assert f"well: {what}" in done.stderr
        assert "well: ready" not in done.stderr
        assert "well: its update fails, and the previous version keeps running: exited with status 1" in done.stderr
        assert "no luck today" in done.stderr
        assert answer(stack, "well") == "version 1"
    assert "no luck today" in stack.run("status").stdout
