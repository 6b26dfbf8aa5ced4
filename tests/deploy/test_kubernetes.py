"""The manifests in deploy/kubernetes, as Kustomize renders them."""

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from petstream import BINARY, KEY, REPOSITORY
from times import drain_of

MANIFESTS = REPOSITORY / "deploy/kubernetes"
SERVICE_MONITOR = json.loads((REPOSITORY / "fixtures/kubernetes/servicemonitor.schema.json").read_text())
RENDERED = ["base", "overlays/monitored", "overlays/sidecar", "overlays/replicas", "overlays/replicas-trial"]
# Those whose image needs no other server to run.
ALONE = RENDERED[:3]
# The oldest version that docs/DEPLOYMENT.md promises, and a current one.
VERSIONS = ["1.30", "1.37"]
# Made by hand, outside of the manifests.
SECRET = "petstream"
# What an entry of the Secret may be.
ENTRIES = {
    "PETSTREAM_API_KEY": KEY,
    "PETSTREAM_DATABASE": "postgres://petstream:password@db.example:5432/petstream",
    "PETSTREAM_REDIS": "rediss://:password@redis.example:6379",
}
SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def render(folder: str) -> list[dict]:
    kubectl = os.environ.get("PETSTREAM_KUBECTL") or shutil.which("kubectl")
    assert kubectl, "kubectl is not installed"
    command = [kubectl, "kustomize", str(MANIFESTS / folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return list(yaml.safe_load_all(result.stdout))


@pytest.fixture(scope="module", params=RENDERED)
def resources(request) -> list[dict]:
    return render(request.param)


def of_kind(resources: list[dict], kind: str) -> list[dict]:
    return [resource for resource in resources if resource["kind"] == kind]


def pods(resources: list[dict]) -> list[dict]:
    owners = of_kind(resources, "Deployment") + of_kind(resources, "StatefulSet")
    return [owner["spec"]["template"] for owner in owners]


def containers(pod: dict) -> list[dict]:
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def petstream_of(resources: list[dict]) -> dict:
    found = [made for pod in pods(resources) for made in containers(pod) if made["name"] == "petstream"]
    assert len(found) == 1
    return found[0]


def configuration_of(resources: list[dict]) -> str:
    return of_kind(resources, "ConfigMap")[0]["data"]["petstream.yaml"]


def environment_of(container: dict) -> dict[str, str]:
    """The variables of a container, those of the Secret included."""
    own = {entry["name"]: entry.get("value") or ENTRIES[entry["valueFrom"]["secretKeyRef"]["key"]] for entry in container["env"]}
    return {"PETSTREAM_API_KEY": KEY} | own


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\D+)", text).groups()
    return int(number) * SIZES[unit]


def test_every_resource_fits_the_schemas_of_kubernetes(resources):
    for resource in resources:
        if resource["kind"] == "ServiceMonitor":
            jsonschema.validate(resource, SERVICE_MONITOR)
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_is_found():
    monitored = render("overlays/monitored")
    deployment, monitor = of_kind(monitored, "Deployment")[0], of_kind(monitored, "ServiceMonitor")[0]
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
    monitor["spec"]["endpoints"][0]["intervall"] = "15s"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(monitor, SERVICE_MONITOR)


def restricted(pod: dict) -> list[str]:
    """What the restricted Pod Security Standard forbids in a pod."""
    spec, found = pod["spec"], []
    shared = spec.get("securityContext", {})
    found += [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
    allowed |= {"secret"}
    found += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if not set(volume) - {"name"} <= allowed]
    for container in containers(pod):
        own, name = container.get("securityContext", {}), container["name"]
        effective = shared | own
        rules = {
            "privileged": own.get("privileged") in (None, False),
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"]
            and set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "root": effective.get("runAsNonRoot") is True and effective.get("runAsUser") != 0,
            "seccomp": effective.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
            "procMount": own.get("procMount", "Default") == "Default",
        }
        found += [f"{name}: {rule}" for rule, holds in rules.items() if not holds]
    return found


def test_pods_keep_the_restricted_pod_security_standard(resources):
    for pod in pods(resources):
        assert restricted(pod) == []
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"memory"} <= set(container["resources"]["limits"])
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_what_the_standard_forbids_is_found():
    pod = pods(render("base"))[0]

    def with_change(change) -> list[str]:
        changed = copy.deepcopy(pod)
        change(changed["spec"], changed["spec"]["containers"][0]["securityContext"])
        return restricted(changed)

    assert with_change(lambda spec, own: None) == []
    assert with_change(lambda spec, own: own.pop("capabilities")) == ["petstream: capabilities"]
    assert with_change(lambda spec, own: own.update(allowPrivilegeEscalation=True)) == ["petstream: escalation"]
    assert with_change(lambda spec, own: own.update(runAsUser=0)) == ["petstream: root"]
    assert with_change(lambda spec, own: spec["securityContext"].pop("seccompProfile")) == ["petstream: seccomp"]
    assert with_change(lambda spec, own: spec.update(hostNetwork=True)) == ["hostNetwork"]
    host = {"name": "h", "hostPath": {"path": "/"}}
    assert with_change(lambda spec, own: spec["volumes"].append(host)) == ["volume h"]


def templates_of(owner: dict) -> list[str]:
    return [template["metadata"]["name"] for template in owner["spec"].get("volumeClaimTemplates", [])]


def test_names_that_resources_refer_to_exist(resources):
    maps = {made["metadata"]["name"] for made in of_kind(resources, "ConfigMap")}
    claims = {made["metadata"]["name"] for made in of_kind(resources, "PersistentVolumeClaim")}
    all_labels = [pod["metadata"]["labels"] for pod in pods(resources)]
    ports = {port["name"] for pod in pods(resources) for made in containers(pod) for port in made.get("ports", [])}

    def selects(selector: dict) -> bool:
        return any(selector.items() <= labels.items() for labels in all_labels)

    for pod in pods(resources):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        templates = {name for owner in of_kind(resources, "StatefulSet") for name in templates_of(owner)}
        for volume in volumes.values():
            assert volume.get("configMap", {}).get("name") in {None} | maps
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None} | claims
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes) | templates
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container.get(probe, {}).get("httpGet", {}).get("port") in {None} | ports
            for source in container.get("envFrom", []):
                assert source["secretRef"]["name"] == SECRET
            for source in (entry["valueFrom"] for entry in container.get("env", []) if "valueFrom" in entry):
                assert source["secretKeyRef"]["name"] == SECRET
    services = of_kind(resources, "Service")
    for service in services:
        assert selects(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for monitor in of_kind(resources, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        matching = [made for made in services if wanted.items() <= made["metadata"]["labels"].items()]
        names = {port["name"] for service in matching for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= names
    for scaler in of_kind(resources, "HorizontalPodAutoscaler"):
        names = {made["metadata"]["name"] for made in of_kind(resources, scaler["spec"]["scaleTargetRef"]["kind"])}
        assert scaler["spec"]["scaleTargetRef"]["name"] in names
    for budget in of_kind(resources, "PodDisruptionBudget"):
        assert selects(budget["spec"]["selector"]["matchLabels"])
    for owner in of_kind(resources, "StatefulSet"):
        assert owner["spec"]["serviceName"] in {service["metadata"]["name"] for service in services}
    for policy in of_kind(resources, "NetworkPolicy"):
        assert selects(policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= ports


def test_petstream_accepts_the_configuration_in_the_environment_of_its_container(resources, tmp_path):
    text = configuration_of(resources)
    (tmp_path / "petstream.yaml").write_text(text)
    environment = environment_of(petstream_of(resources))
    assert environment.pop("PETSTREAM_CONFIG") == "/etc/petstream/petstream.yaml"
    result = subprocess.run([BINARY, "check"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "OK (petstream.yaml)\n", "")
    # The example of an upstream, without its number signs.
    lines = text.splitlines()
    at = lines.index("#models:")
    (tmp_path / "petstream.yaml").write_text("\n".join(lines[:at] + [line.removeprefix("#") for line in lines[at:]]))
    environment["OPENAI_API_KEY"] = "sk-upstream"
    result = subprocess.run([BINARY, "check"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_times_and_sizes_of_the_configuration_fit_the_pod(resources):
    configuration = yaml.safe_load(configuration_of(resources))
    container = petstream_of(resources)
    spec = next(pod["spec"] for pod in pods(resources) if container in containers(pod))
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert before + drain_of(configuration) + 10 <= spec.get("terminationGracePeriodSeconds", 30)
    limits = configuration["limits"]
    held = size(limits["bodies_total"]) + size(limits["answers_total"])
    assert held <= size(container["resources"]["limits"]["memory"]) / 2
    ports = {port["containerPort"] for port in container["ports"]}
    listeners = [configuration["listen"], configuration["metrics"]["listen"]]
    open_to_the_pod = {int(address.rpartition(":")[2]) for address in listeners if address.startswith("0.0.0.0:")}
    assert ports == open_to_the_pod


@pytest.mark.parametrize("resources", ALONE, indirect=True)
def test_the_image_runs_as_the_manifest_says(resources, machine, tmp_path):
    """The container of the pod, with its configuration, variables and memory: its probes succeed."""
    root = next((root for root in machine[0] if root.name == "container"), None)
    if root is None:
        pytest.skip("; ".join(machine[1]))
    (tmp_path / "petstream.yaml").write_text(configuration_of(resources))
    os.chmod(tmp_path, 0o755)
    container = petstream_of(resources)
    environment = environment_of(container)
    memory = int(os.environ.get("DEPLOY_MEMORY_MIB", size(container["resources"]["limits"]["memory"]) // 2**20))
    files = {Path(tmp_path): "/etc/petstream"}
    with root.start(files, environment, memory=memory, network="none") as server:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            made = container[probe]
            if command := made.get("exec", {}).get("command"):
                assert server.execute(*command[1:]).returncode == 0
                continue
            # `healthcheck` asks for /readyz. /healthz is on the same port.
            assert made["httpGet"]["path"] in ("/readyz", "/healthz")
            numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
            url = f"http://127.0.0.1:{numbers[made['httpGet']['port']]}"
            assert server.execute("healthcheck", "--url", url).returncode == 0
        server.terminate()
        assert server.wait() == 0


def test_replicas_have_one_database_and_one_redis_and_migrate_before_they_start():
    for folder in ("overlays/replicas", "overlays/replicas-trial"):
        resources = render(folder)
        deployment = next(made for made in of_kind(resources, "Deployment") if made["metadata"]["name"] == "petstream")
        spec = deployment["spec"]["template"]["spec"]
        migrate, server = spec["initContainers"][0], petstream_of(resources)
        assert (migrate["image"], migrate["args"], migrate["env"]) == (server["image"], ["migrate"], server["env"])
        # Not optional: a pod without these entries of the Secret does not start.
        required = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in server["env"] if "valueFrom" in entry}
        assert required == {name: {"name": SECRET, "key": name} for name in ("PETSTREAM_DATABASE", "PETSTREAM_REDIS")}
        assert of_kind(resources, "PersistentVolumeClaim") == []
        assert not any("persistentVolumeClaim" in volume for volume in spec["volumes"])
        # The autoscaler owns the number, and no rollout takes one away before another is ready.
        assert "replicas" not in deployment["spec"]
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert spec["topologySpreadConstraints"]
        scaler = of_kind(resources, "HorizontalPodAutoscaler")[0]["spec"]
        assert scaler["minReplicas"] >= 3
        # Pools of four for reading and writing, with one more replica in a rollout; Postgres allows 97 by default.
        assert (scaler["maxReplicas"] + 1) * 8 <= 90
        ports = {port["port"] for policy in of_kind(resources, "NetworkPolicy") for rule in policy["spec"].get("egress", [])
                 for port in rule["ports"]}
        assert {5432, 6379} <= ports


def test_the_trial_has_the_servers_that_its_urls_name_and_the_redis_of_the_compose_file():
    resources = render("overlays/replicas-trial")
    services = {made["metadata"]["name"]: made["spec"]["ports"][0]["port"] for made in of_kind(resources, "Service")}
    text = (MANIFESTS / "overlays/replicas-trial/kustomization.yaml").read_text()
    named = dict(re.findall(r"@([a-z-]+):(\d+)", text))
    assert {name: str(port) for name, port in services.items() if name != "petstream"} == named
    redis = next(made for pod in pods(resources) for made in containers(pod) if made["name"] == "redis")
    compose = yaml.safe_load((REPOSITORY / "deploy/compose.replicas.yaml").read_text())["services"]
    assert redis["command"] == [word.replace("$$", "$") for word in compose["redis"]["command"]]
    images = {made["name"]: made["image"] for pod in pods(resources) for made in containers(pod)}
    for name in ("redis", "postgres"):
        assert compose[name]["image"].endswith(f":-{images[name]}}}")
