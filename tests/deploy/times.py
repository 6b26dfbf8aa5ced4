"""Durations of petstream's configuration."""

import yaml

from petstream import REPOSITORY


def seconds(text: str) -> int:
    """A duration in whole seconds, such as 25s."""
    assert text.endswith("s") and text[:-1].isdigit(), text
    return int(text[:-1])


def drain_of(configuration: dict) -> int:
    """How long a server with this configuration may take to end, without the flush of its records."""
    drain = configuration["drain"]
    # A duration, or one before and one after the listeners are closed.
    return sum(seconds(text) for text in drain.values()) if isinstance(drain, dict) else seconds(drain)


def default_drain() -> int:
    """The same by default."""
    return drain_of(yaml.safe_load((REPOSITORY / "deploy/petstream.yaml").read_text()))
