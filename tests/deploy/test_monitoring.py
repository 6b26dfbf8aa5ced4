"""deploy/grafana.json and deploy/alerts.yaml against the metrics that a server really has."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import promql_parser as promql
import pytest
import yaml

from engines import Redis
from peers import complete, get
from petstream import REPOSITORY, eventually

ALERTS = REPOSITORY / "deploy/alerts.yaml"
DASHBOARD = json.loads((REPOSITORY / "deploy/grafana.json").read_text())
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
EXPOSITION = REPOSITORY / "src/telemetry/metrics/exposition.rs"
TESTS = Path(__file__).parent
# What Prometheus itself adds.
ADDED_LABELS = {"job", "instance"}
ADDED_METRICS = {"up": set()}
# Dashboard variables, as Grafana replaces them in a query.
VARIABLES = {"$__rate_interval": "5m"}


@pytest.fixture(scope="module")
def redis():
    made = Redis()
    yield made
    made.close()


@pytest.fixture(scope="module")
def scraped(servers, redis) -> dict[str, set[str]]:
    """The labels of each series name of a server on which everything has happened that has a metric."""
    upstreams = [{"base_url": f"http://127.0.0.1:{port}/v1"} for port in (1, 2)]
    server = servers(
        {
            "limits": {"total": {"tokens_per_minute": 2_000}},
            "models": [{"name": "m", "upstreams": upstreams}],
            "redis": {"url": redis.url},
        }
    )

    def refused() -> bool:
        """a completion that the limit of tokens refuses"""
        try:
            complete(server.url)
        except HTTPError as error:
            with error:
                return error.code == 429
        return False

    with pytest.raises(HTTPError) as failed:
        complete(server.url, "m")
    failed.value.close()
    eventually(refused)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        connection.recv(1)
    status, text = get(f"{server.url}/metrics")
    assert status == 200
    found: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? \S+", line).groups()
            found[name] |= set(re.findall(r"(?:^|,)(\w+)=\"", labels or ""))
    return dict(found)


def test_the_scrape_has_every_metric_that_the_program_registers(scraped):
    registered = set(re.findall(r'"((?:petstream|gen_ai)_[a-z_]+)"', EXPOSITION.read_text()))
    labels = {label for labels in scraped.values() for label in labels}
    suffixes = ("", "_total", "_info", "_seconds", "_seconds_count", "_count")
    missing = {name for name in registered - labels if not {name + suffix for suffix in suffixes} & set(scraped)}
    assert len(registered) > 10 and missing == set()


def selectors(node, outer: frozenset = frozenset()):
    """The names of the series of a query, each with the labels by which it is selected, grouped or joined."""
    match node:
        case promql.VectorSelector():
            yield node.name, outer | {matcher.name for matcher in node.matchers.matchers}
        case promql.MatrixSelector():
            yield from selectors(node.vector_selector, outer)
        case promql.AggregateExpr():
            by = node.modifier.labels if node.modifier and node.modifier.type == promql.AggModifierType.By else []
            # Labels of an outer aggregation exist if the inner one keeps them.
            yield from selectors(node.expr, outer | set(by))
        case promql.BinaryExpr():
            yield from selectors(node.lhs, outer)
            yield from selectors(node.rhs, outer)
        case promql.Call():
            for argument in node.args:
                yield from selectors(argument, outer)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield from selectors(node.expr, outer)
        case promql.NumberLiteral() | promql.StringLiteral():
            pass
        case _:
            raise AssertionError(f"unknown: {node!r}")


def objections(query: str, shown: set[str], scraped: dict[str, set[str]]) -> list[str]:
    """What a query uses that no server has; `shown`: labels that a legend or an annotation shows."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    found, labels_of_all = [], set(ADDED_LABELS)
    for name, labels in selectors(promql.parse(query)):
        known = (scraped | ADDED_METRICS).get(name)
        if known is None:
            found.append(f"no metric {name}")
            continue
        labels_of_all |= known
        found += [f"no label {label} on {name}" for label in sorted(labels - known - ADDED_LABELS)]
    return found + [f"no label {label} in the result" for label in sorted(shown - labels_of_all)]


def panels() -> list[tuple[str, str, set[str]]]:
    """Title, query and shown labels of each query of the dashboard."""
    every = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [(title, made["expr"], set(re.findall(r"{{(\w+)}}", made["legendFormat"]))) for title, made in every]


def test_every_query_of_the_dashboard_uses_metrics_and_labels_that_exist(scraped):
    assert {title: found for title, query, shown in panels() if (found := objections(query, shown, scraped))} == {}
    # The values of variables come from series, too.
    for variable in DASHBOARD["templating"]["list"][1:]:
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        assert objections(series, {label}, scraped) == [], variable["name"]
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", json.dumps([query for _, query, _ in panels()])))
    assert used - {"__rate_interval"} <= names


def test_every_metric_is_on_the_dashboard(scraped):
    queries = [query.replace("$__rate_interval", "5m") for _, query, _ in panels()]
    used = {name for query in queries for name, _ in selectors(promql.parse(query))}
    stem = re.compile(r"_(bucket|sum|count)$")
    assert {stem.sub("", name) for name in scraped} == {stem.sub("", name) for name in used}


def test_every_alert_uses_metrics_and_labels_that_exist(scraped):
    for rule in RULES:
        shown = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert objections(rule["expr"], shown, scraped) == [], rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_what_does_not_exist_is_found(scraped):
    assert objections("rate(petstream_request_total[5m])", set(), scraped) == ["no metric petstream_request_total"]
    wrong = 'sum by (state) (petstream_upstream_out{model="m"})'
    found = objections(wrong, {"target", "status"}, scraped)
    missing = ["no label model on petstream_upstream_out", "no label state on petstream_upstream_out"]
    assert found == [*missing, "no label status in the result"]


def test_panels_of_the_dashboard_do_not_overlap():
    cells = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24, panel["title"]
        cells |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("arguments", [("check", "rules", ALERTS), ("test", "rules", TESTS / "alerts.test.yaml")])
def test_alerts_fire_when_they_should_and_only_then(arguments):
    promtool = os.environ.get("PETSTREAM_PROMTOOL") or shutil.which("promtool")
    assert promtool, "promtool is not installed"
    result = subprocess.run([promtool, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_is_tested_to_fire_and_not_to_fire():
    tests = yaml.safe_load((TESTS / "alerts.test.yaml").read_text())["tests"]
    tested = [(bool(made.get("exp_alerts")), made["alertname"]) for test in tests for made in test["alert_rule_test"]]
    assert sorted(tested) == sorted((fires, rule["alert"]) for rule in RULES for fires in (False, True))
