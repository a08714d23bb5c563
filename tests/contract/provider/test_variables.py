"""Variables reach the function as they were deployed, whatever is in their names and values."""

from __future__ import annotations

from dataclasses import replace

from swarmfn.provider import Provider
from tests.contract.provider.calls import call_function
from tests.contract.provider.engines import Engine

VARIABLES = {
    # Names that a shell cannot use itself, and drops.
    "with.dot": "a",
    "with-dash": "b",
    "with space": "c",
    " leading": "d",
    "trailing ": "e",
    "1digit": "f",
    "9": "g",
    "slash/in/it": "h",
    "colon:in:it": "i",
    "Spring.datasource[0].url": "j",
    "$DOLLAR": "k",
    "`tick`": "l",
    "quote\"s'": "m",
    "back\\slash": "n",
    "tab\tin it": "o",
    "line\nbreak": "p",
    "schlüssel": "q",
    "鍵": "r",
    "{{.Service.Name}}": "s",
    "%PATH%": "t",
    "#hash": "u",
    # Values that something on the way might take for its own.
    "EMPTY": "",
    "EQUALS": "a=b==c=",
    "BRACES": "Hello {{ name }}",
    "TEMPLATE": "{{.Service.Name}} {{.Task.ID}}",
    "BAD_TEMPLATE": "{{ nothing of Go's",
    "CLOSING": "}} {{}} }}",
    "THREE": "{{{a}}} {{{{b}}}} {",
    "TRIMMED": "a {{- b -}} c",
    "COMMENT": "{{/* gone? */}}",
    "WRITTEN": '{{"{{"}} and {{"}}"}}',
    "DOLLARS": "$HOME ${HOME} $(id) $$ %HOME%",
    "QUOTES": "\"a\" 'b' `c`",
    "BACKSLASHES": "\\n \\ C:\\x\\",
    "LINES": "one\ntwo\r\n\tthree\n",
    "BLANKS": "  both sides  ",
    "UNICODE": "grüße 世界 \N{SLIGHTLY SMILING FACE}",
    "CONTROLS": "\x01\x1b[31m\x7f",
    "JSON": '{"a": {"b": ["{{c}}"]}}',
    "LONG": "x" * 100_000,
}


def test_the_function_sees_every_name_and_value_as_it_was_deployed(engine: Engine, provider: Provider) -> None:
    function = replace(engine.showing_variables("show"), env_vars=VARIABLES)
    provider.deploy(function)
    assert provider.get("show").spec == function
    entries = [entry.split("=", 1) for entry in call_function(engine, "show").body.split("\0") if entry]
    seen = {name: value for name, value in entries if name in VARIABLES}
    assert len(VARIABLES) == 40
    assert seen == VARIABLES
