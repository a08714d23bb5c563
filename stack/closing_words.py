"""What `up` says at its end: where everything is, and lines to paste."""

from __future__ import annotations

from pathlib import Path


def closing_words(url: str, management_url: str, credentials: Path, has_examples: bool, command: str) -> str:
    """`command` is how the user calls deploy_extended.py."""
    where = f"""\
swarmfn is up.

  gateway       {url}{_management(url, management_url)}
  portal        {management_url}/ui/
  credentials   {credentials} (user:password of the portal, the dashboard and faas-cli)
  more          {command} status | logs -f | down
"""
    return where + (_examples(url) if has_examples else _without_examples(management_url, credentials))


def _management(url: str, management_url: str) -> str:
    return "" if management_url == url else f" (calls only)\n  management    {management_url}"


def _examples(url: str) -> str:
    return f"""
Call a function and wait for its answer:
  curl {url}/function/wordcount --data 'three words here'

Leave a call in the queue; the answer's X-Call-Id fetches the result from {url}/async-function/ID:
  curl -i {url}/async-function/wordcount --data 'three words here'

Have the result delivered to another function, and look at what that one got:
  curl {url}/async-function/wordcount --data 'three words here' -H 'X-Callback-Url: http://gateway:8080/function/notify'
  curl {url}/function/notify
"""


def _without_examples(url: str, credentials: Path) -> str:
    return f"""
List the functions:
  curl -u "$(head -n 1 {credentials})" {url}/system/functions
"""
