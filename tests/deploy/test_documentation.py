"""Documents name files, headings and commands that exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from petstream import BINARY, REPOSITORY

TEXT = (REPOSITORY / "docs/DEPLOYMENT.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])


def anchors(document: Path) -> set[str]:
    """The anchors of the headings of a document, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_of_the_documents_lead_to_files_and_headings(document):
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    broken = []
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_files_that_the_page_names_exist():
    # Not the resource of `kubectl exec`, nor the file of passwords that a command makes.
    named = set(re.findall(r"(?<!exec )\b(?:deploy|tests)/[\w./-]*\w", TEXT)) - {"deploy/replicas.env"}
    named |= {f"deploy/kubernetes/{path}" for path in re.findall(r"`((?:base|components|overlays)(?:/\w+)?)`", TEXT)}
    assert len(named) > 20
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


def test_commands_of_petstream_on_the_page_work(tmp_path):
    words = [shlex.split(line, comments=True) for line in COMMANDS if line.startswith("petstream ")]
    commands = [line[1 : line.index(">")] for line in words if ">" in line]
    assert ["completions", "bash"] in commands and ["man"] in commands
    for arguments in [*commands, ["man", "keys", "create"]]:
        result = subprocess.run([BINARY, *arguments], cwd=tmp_path, env={}, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "") and result.stdout, arguments
