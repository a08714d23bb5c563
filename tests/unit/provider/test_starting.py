from __future__ import annotations

import pytest

from swarmfn.provider.starting import getting_ready, next_word


@pytest.mark.parametrize(
    ("seconds", "said", "following"), [(0, 0, 10), (9.9, 0, 10), (10, 10, 20), (39, 20, 40), (170, 160, 320)]
)
def test_what_is_said_changes_whenever_the_time_has_doubled(seconds: float, said: int, following: float) -> None:
    words = f"a replica has been getting ready for {said} s, and may take 300 s"
    assert getting_ready(seconds, 300.0) == (words if said else "")
    assert next_word(seconds) == following
