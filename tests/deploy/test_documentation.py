"""docs/DEPLOYMENT.md names files and commands that exist."""

import re
import shlex
import subprocess

from petstream import BINARY, REPOSITORY

TEXT = (REPOSITORY / "docs/DEPLOYMENT.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


def test_files_that_the_page_names_exist():
    named = set(re.findall(r"\b(?:deploy|tests)/[\w./-]*\w", TEXT))
    named |= {f"deploy/kubernetes/{path}" for path in re.findall(r"`((?:base|components|overlays)(?:/\w+)?)`", TEXT)}
    assert len(named) > 15
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


def test_commands_of_petstream_on_the_page_work(tmp_path):
    words = [shlex.split(line, comments=True) for line in COMMANDS if line.startswith("petstream ")]
    commands = [line[1 : line.index(">")] for line in words if ">" in line]
    assert ["completions", "bash"] in commands and ["man"] in commands
    for arguments in [*commands, ["man", "keys", "create"]]:
        result = subprocess.run([BINARY, *arguments], cwd=tmp_path, env={}, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "") and result.stdout, arguments
