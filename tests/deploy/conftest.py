"""Fixtures: the root file systems that this machine can run, scripted peers."""

import os

import pytest

import roots
from peers import Upstream

pytest_plugins = ["serving"]


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """What runs here, and why not the rest."""
    made, reasons = roots.possible(tmp_path_factory.mktemp)
    yield made, reasons
    for root in made:
        root.close()


def pytest_generate_tests(metafunc):
    if "root" in metafunc.fixturenames:
        metafunc.parametrize("root", ["container", "chroot"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def root(request, machine):
    """The file system of the image: in a container, then in a chroot."""
    made, reasons = machine
    found = next((root for root in made if root.name == request.param), None)
    if found is None:
        # A machine that forbids containers still runs each test, in the chroot.
        assert made, "; ".join(reasons)
        pytest.skip("; ".join(reasons))
    return found


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def configuration(tmp_path):
    """Writes a petstream.yaml for a root file system; returns the mounts that bring it in."""

    def write(text: str) -> dict:
        folder = tmp_path / "configuration"
        folder.mkdir(exist_ok=True)
        (folder / "petstream.yaml").write_text(text)
        os.chmod(folder, 0o755)
        return {folder: "/etc/petstream"}

    return write


def pytest_terminal_summary(terminalreporter):
    """Says what has run: a chroot is no container."""
    for line in terminalreporter.config.stash.get(SUMMARY, []):
        terminalreporter.write_line(line)


SUMMARY = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def summary(request) -> list[str]:
    """Lines that are printed at the end."""
    return request.config.stash.setdefault(SUMMARY, [])


@pytest.fixture(scope="session", autouse=True)
def what_runs(request, summary):
    """Notes what the tests of the image have run in."""
    if any("root" in getattr(item, "fixturenames", ()) for item in request.session.items):
        made, reasons = request.getfixturevalue("machine")
        summary.extend(f"image ran in a {root}" for root in made)
        summary.extend(reasons)
