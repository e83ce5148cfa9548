"""What must be so of the manifests in deploy/kubernetes besides that they have the right shape.

    manifests.py rule                 prints the PrometheusRule that deploy/observability/alerts.yml makes
    manifests.py check FILE GATEWAY   holds a rendered overlay against what it has to be, with the gateway's binary
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import yaml

ROOT = pathlib.Path(__file__).parents[2]
SECRETS = "/run/secrets/gigya-esp-gateway"
HEAD = """\
# Made from deploy/observability/alerts.yml, which is the one to change; `.ci/kubernetes --write` makes it anew.
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gigya-esp-gateway
  labels:
    app.kubernetes.io/name: gigya-esp-gateway
spec:
"""


def rule():
    """The operator's wrapping of the rules, text and comments as they are."""
    rules = (ROOT / "deploy/observability/alerts.yml").read_text()
    groups = rules[rules.index("groups:\n") :]
    return HEAD + "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))


def seconds(text):
    """A length of time as the configuration writes it."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def is_chosen(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def check(rendered, gateway):
    objects = list(yaml.safe_load_all(pathlib.Path(rendered).read_text()))

    def every(kind):
        return [it for it in objects if it["kind"] == kind]

    def one(kind):
        (it,) = every(kind)
        return it

    deployment = one("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    configuration = one("ConfigMap")
    text = configuration["data"]["gateway.toml"]
    config = tomllib.loads(text)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    # All of it is in one place, and nothing is called the latest.
    namespace = one("Namespace")["metadata"]["name"]
    for it in objects:
        assert it["kind"] == "Namespace" or it["metadata"]["namespace"] == namespace, it["metadata"]
        assert it["kind"] != "Secret", "secrets don't belong here"
    image, tag = container["image"].rsplit(":", 1)
    assert tag != "latest" and "/" in image, container["image"]

    # Labels lead to the pods, and ports to ports.
    selectors = [deployment["selector"]["matchLabels"], one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in every("Service")]
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in every("NetworkPolicy")}
    selectors.append(policies["gigya-esp-gateway"]["podSelector"]["matchLabels"])
    selectors += [spread["labelSelector"]["matchLabels"] for spread in pod["topologySpreadConstraints"]]
    for wish in pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]:
        selectors.append(wish["podAffinityTerm"]["labelSelector"]["matchLabels"])
    assert all(is_chosen(selector, labels) for selector in selectors), selectors
    assert one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]
    assert "replicas" not in deployment and one("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    offered = {}
    for service in every("Service"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"], port
            offered[service["metadata"]["name"], port["name"]] = service["metadata"]["labels"]
    # Webhooks and operations aren't offered by the same Service.
    assert len(offered) == len(every("Service")) == 2, offered
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "operations", probe
    server = config["server"]
    assert server["admin_listen"] == f"0.0.0.0:{ports['operations']}"
    assert server.get("listen", "0.0.0.0:8080").endswith(f":{ports['webhooks']}")
    for rule_of_ingress in one("Ingress")["spec"]["rules"]:
        for path in rule_of_ingress["http"]["paths"]:
            backend = path["backend"]["service"]
            assert path["path"] == "/webhooks/" and (backend["name"], backend["port"]["name"]) in offered
            assert backend["port"]["name"] == "webhooks"
    for rule_in in policies["gigya-esp-gateway"]["ingress"]:
        assert rule_in["from"] and {port["port"] for port in rule_in["ports"]} < ports.keys()
    # Replicas share the journal, so it is a database, and there is a way to it that lets nothing else in or out.
    journal, way = config["journal"], policies["gigya-esp-gateway-journal"]
    assert "postgres" in journal and "sqlite" not in journal, journal
    assert way["policyTypes"] == ["Egress"] and "ingress" not in way, way
    (chosen,) = way["podSelector"]["matchExpressions"]
    assert chosen["operator"] == "In" and labels[chosen["key"]] in chosen["values"], chosen
    for rule_out in way["egress"]:
        assert rule_out["to"] and [port["port"] for port in rule_out["ports"]] == [5432], rule_out
    monitor = one("ServiceMonitor")["spec"]
    (watched,) = [key for key, its in offered.items() if is_chosen(monitor["selector"]["matchLabels"], its)]
    assert watched[1] == monitor["endpoints"][0]["port"] == "operations"
    # The alerts' job.
    assert offered[watched][monitor["jobLabel"]] == "gigya-esp-gateway"

    # There is time to stop, and to notice that it stops.
    draining = seconds(server["drain_delay"]) + seconds(server["drain_timeout"])
    assert pod["terminationGracePeriodSeconds"] > draining
    ready = container["readinessProbe"]
    noticed = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    assert seconds(server["drain_delay"]) > noticed, "readiness is noticed too late"
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0

    # As closed as it can be.
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    closed = container["securityContext"]
    assert closed["readOnlyRootFilesystem"] and closed["allowPrivilegeEscalation"] is False
    assert closed["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]

    # What prunes the journal is as closed, has the same configuration and secrets, and is nobody's replica.
    jobs = {job["metadata"]["name"]: job["spec"] for job in objects if job["kind"] == "CronJob"}
    assert set(jobs) == {"gigya-esp-gateway-prune", "gigya-esp-gateway-reconcile"}, jobs
    job = jobs["gigya-esp-gateway-prune"]
    template = job["jobTemplate"]["spec"]["template"]
    pruning = template["spec"]
    (pruner,) = pruning["containers"]
    assert job["concurrencyPolicy"] == "Forbid" and pruner["args"] == ["journal", "prune"], job
    assert not any(is_chosen(selector, template["metadata"]["labels"]) for selector in selectors), selectors
    assert template["metadata"]["labels"][chosen["key"]] in chosen["values"], "there is no way to the database"
    alone = policies["gigya-esp-gateway-prune"]
    assert is_chosen(alone["podSelector"]["matchLabels"], template["metadata"]["labels"])
    assert alone["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in alone, alone
    for same in ("automountServiceAccountToken", "enableServiceLinks", "securityContext", "volumes"):
        assert pruning[same] == pod[same], same
    for same in ("image", "securityContext", "volumeMounts"):
        assert pruner[same] == container[same], same
    assert "memory" in pruner["resources"]["limits"]

    # What compares both sides, too; and it has room for its files, which isn't the node's memory.
    job = jobs["gigya-esp-gateway-reconcile"]
    template = job["jobTemplate"]["spec"]["template"]
    comparing = template["spec"]
    (comparer,) = comparing["containers"]
    assert job["concurrencyPolicy"] == "Forbid" and comparer["args"][:2] == ["reconcile", "--apply"], job
    assert not any(is_chosen(selector, template["metadata"]["labels"]) for selector in selectors), selectors
    assert template["metadata"]["labels"][chosen["key"]] in chosen["values"], "there is no way to the database"
    alone = policies["gigya-esp-gateway-reconcile"]
    assert is_chosen(alone["podSelector"]["matchLabels"], template["metadata"]["labels"])
    assert alone["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in alone, alone
    assert alone["egress"] == policies["gigya-esp-gateway"]["egress"], "it asks whom the gateway asks"
    for same in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        assert comparing[same] == pod[same], same
    *volumes_of_pod, scratch = comparing["volumes"]
    *mounts_of_pod, mounted = comparer["volumeMounts"]
    assert volumes_of_pod == pod["volumes"] and mounts_of_pod == container["volumeMounts"]
    assert scratch["emptyDir"].get("medium") is None and mounted["mountPath"] == comparer["args"][3], scratch
    for same in ("image", "securityContext"):
        assert comparer[same] == container[same], same
    assert "memory" in comparer["resources"]["limits"]

    # The configuration that is mounted is the one here, where the image looks for it.
    assert volumes["configuration"]["configMap"]["name"] == configuration["metadata"]["name"]
    assert re.fullmatch(r"gigya-esp-gateway-[a-z0-9]{10}", configuration["metadata"]["name"])
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert f"GATEWAY_CONFIG={mounts['configuration']['mountPath']}/gateway.toml" in dockerfile
    # Secrets are mounted so that a change shows: as a folder.
    assert mounts["secrets"]["mountPath"] == SECRETS and not any("subPath" in mount for mount in mounts.values())

    # The gateway itself takes it, with the secrets that the README has people make.
    readme = (ROOT / "deploy/README.md").read_text()
    asked = set(re.findall(r"--from-file=([a-z-]+)=", readme))
    named = set(re.findall(rf"{SECRETS}/([a-z-]+)", text))
    assert named and named == asked, f"gateway.toml names {named}, deploy/README.md makes {asked}"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in named:
            special = {
                "cm-callback-token": "MDEyMzQ1Njc4OWFiY2RlZg",
                "journal-key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                "journal-postgres": "postgres://gateway:secret@postgres.postgres.svc/gateway",
            }
            (folder / name).write_text(f"{special.get(name, 'c2VjcmV0')}\n")
        file = folder / "gateway.toml"
        file.write_text(text.replace(SECRETS, str(folder)))
        said = subprocess.run([gateway, "check", "--config", file], env={}, capture_output=True, text=True)
        assert said.returncode == 0 and "The configuration is valid." in said.stdout, said.stdout + said.stderr
        (folder / "cm-api-key").unlink()
        said = subprocess.run([gateway, "check", "--config", file], env={}, capture_output=True, text=True)
        assert said.returncode == 2, "a secret that is missing was not missed"
    print(f"{len(objects)} objects are as they should be")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rule"]:
            print(rule(), end="")
        case ["check", rendered, gateway]:
            check(rendered, gateway)
        case _:
            sys.exit(__doc__)
