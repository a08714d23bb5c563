"""The commands of the README and the tutorial, pasted into a shell in front of a running platform."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.platform import Platform
from tests.support.processes import REPOSITORY
from tests.support.requirements import missing

ENDED = """until [ "$(curl -so /dev/null -w '%{http_code}' $G/async-function/$ID/result)" = 200 ]; do sleep 0.2; done"""

FILES_TO_SEND = 100
"""The tutorial sends the whole standard library; so does a test of the platform's, and here a part is enough."""


def commands(page: str, platform: Platform, after: str = "", before: str = "\0") -> str:
    """The shell blocks of `page`, between two of its headings, as one script. The platform runs already, at another
    address than the page's."""
    text = (REPOSITORY / page).read_text().partition(after)[2] if after else (REPOSITORY / page).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text.partition(before)[0], re.MULTILINE | re.DOTALL)
    assert blocks
    script = "\n".join(blocks).replace("http://127.0.0.1:8080", platform.url)
    return re.sub(r"^(python3 deploy_extended\.py.*|\./test)$", ":", script, flags=re.MULTILINE)


def run(script: str, folder: Path) -> str:
    """What `script` wrote, in a folder that looks like a checkout."""
    if shutil.which("curl") is None:
        missing("curl", "the documentation's commands use it: apt-get install curl")
    shutil.copy(REPOSITORY / "README.md", folder)
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("platform")
def test_the_three_calls_of_the_readme_do_what_it_says(platform: Platform, tmp_path: Path) -> None:
    script = commands("README.md", platform, before="## Your own function")
    # The page's last line looks at what came back; a person takes longer to type it than the callback to arrive.
    script = script.replace("curl ", f"curl -s -X DELETE {platform.url}/function/notify >/dev/null\ncurl ", 1)
    head, _, last = script.rpartition("curl ")
    wait = f'until curl -s "{platform.url}/function/notify?count=1" | grep -q \'"count": 1\'; do sleep 0.1; done'
    output = run(f"{head}\n{wait}\ncurl {last}", tmp_path)
    assert re.search(r"^\s+0\s+3\s+16$", output, re.MULTILINE)
    assert "HTTP/1.1 202 Accepted" in output
    assert re.search(r"^location: /async-function/", output, re.MULTILINE | re.IGNORECASE)
    assert '"function_name": "wordcount"' in output


@pytest.mark.usefixtures("platform")
def test_a_function_of_ones_own_is_deployed_changed_looked_at_and_removed(platform: Platform, tmp_path: Path) -> None:
    page = (REPOSITORY / "README.md").read_text()
    script = commands("README.md", platform, after="## Your own function")
    script = script.replace(".swarmfn/credentials", str(platform.state / "credentials"))
    logs = f"{sys.executable} {REPOSITORY}/deploy_extended.py logs hello --state-dir {platform.state}"
    assert "python3 deploy_extended.py logs hello" in page
    # A person looks again until the change is rolled out.
    again = f"curl -s {platform.url}/function/hello --data Bea"
    changed = f"until {again} | grep -q 'Good morning, Bea!'; do sleep 0.1; done"
    script = script.replace("\n:\n", f"\n{changed}\n{logs}\n")
    output = run(script, tmp_path)
    assert "Hello, Ann!" in output
    assert f'"image":"dir:{tmp_path}/hello"' in output
    assert "called by 'Ann'" in output
    assert "called by 'Bea'" in output
    assert platform.system("GET", "/system/function/hello").status_code == 404


def test_the_tutorial_does_what_it_says(platform: Platform, tmp_path: Path) -> None:
    script = commands("docs/tutorial.md", platform)
    script = script.replace(" > files.txt", f" | head -n {FILES_TO_SEND} > files.txt")
    # However long the two commands that ask before the end take, and the call.
    script = script.replace("/sleep --data 2)", "/sleep --data 7)").replace("\nsleep 3\n", f"\n{ENDED}\n")
    counted = 'until curl -s "$G/function/notify?count=1" | grep -q \'"count": %d,\'; do sleep 0.1; done\n'
    script = script.replace("cat > compare.py", counted % FILES_TO_SEND + "cat > compare.py")
    output = run(script, tmp_path)
    assert "slept 7 seconds" in output
    assert "the call has not ended yet" in output
    assert f"{FILES_TO_SEND} callbacks, each once, each with the count of wc" in output
    assert "image/png, " in output
    assert "the same bytes" in output
    assert "415 Unsupported Media Type" in output
    chained = re.search(r'"function_name": "echo",.*?"sha256": "(\w{64})"', output, re.DOTALL)
    assert chained is not None
    assert re.search(rf"^{chained.group(1)}  -$", output, re.MULTILINE)
    assert [output.count(line) for line in ("404 Not Found", "400 Bad Request", "500 Internal")] == [2, 1, 1]
    assert list(tmp_path.iterdir()) == [tmp_path / "README.md"]
