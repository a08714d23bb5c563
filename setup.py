"""What setup.cfg cannot say: which shared files the wheel has. The programs are among them, so that no package called
`gateway` or `worker` comes into site-packages (docs/adr/006-the-package.md)."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
HOME = Path("share/swarmfn")
FOLDERS = ("swarmfn", "gateway", "worker", "fwatchdog", "stack", "template", "examples")
FILES = ("docker-compose.swarm.yml", "Dockerfile", "requirements.txt", "sbom.cdx.json")


def shared_files() -> Iterator[tuple[str, list[str]]]:
    """Each folder below `HOME`, with the files that go there."""
    yield str(HOME), list(FILES)
    for name in FOLDERS:
        top = ROOT / name
        for folder in (top, *(path for path in sorted(top.rglob("*")) if path.is_dir())):
            files = [str(file.relative_to(ROOT)) for file in sorted(folder.iterdir()) if file.is_file()]
            if files and folder.name != "__pycache__":
                yield str(HOME / folder.relative_to(ROOT)), files


setup(data_files=list(shared_files()))
