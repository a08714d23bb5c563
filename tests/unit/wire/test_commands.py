"""Commands that only a shell could split."""

from __future__ import annotations

import pytest

from swarmfn.wire.commands import quoted_part


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ('sh -c "echo hi"', '"echo hi"'),
        ("sh -c 'echo hi' x", "'echo hi'"),
        ("""sh -c "echo 'a b'" """, """"echo 'a b'\""""),
        ('"/opt/my program" x', '"/opt/my program"'),
        ('grep "word"', '"word"'),
        ('env A="b c" printenv', '"b c"'),
        ("sh -c '\nls\n'", "'\nls\n'"),
        ("cat", ""),
        ("", ""),
        ('jq .["a"]', ""),
        ('jq .a=="x"', ""),
        ('awk {print"x"}', ""),
        ("echo don't", ""),
        ("""sed s/"/'/g""", ""),
        ('echo 5" disk', ""),
    ],
)
def test_a_part_in_quotes_is_found(command: str, expected: str) -> None:
    assert quoted_part(command) == expected
