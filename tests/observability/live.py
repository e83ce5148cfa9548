"""A real Prometheus, with the configuration and rules that are shipped, scrapes a real gateway; then it is asked.

    live.py GATEWAY        GATEWAY is the binary; `prometheus` and `promtool` are on the PATH

Only addresses and intervals are others than those shipped. The gateway is the one of its sandbox, in which people act.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = ROOT / "deploy/observability"
PATIENCE = 30


def until(what, look):
    """Waits for something, and returns it."""
    end = time.monotonic() + PATIENCE
    last = None
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (OSError, AssertionError) as error:
            last = error
        time.sleep(0.2)
    raise SystemExit(f"never: {what} ({last})")


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def replaced(text, old, new):
    assert old in text, f"prometheus.yml has no {old!r}"
    return text.replace(old, new)


class Prometheus:
    def __init__(self, folder, target):
        self.url = f"http://127.0.0.1:{free_port()}"
        config = (SHIPPED / "prometheus.yml").read_text()
        config = replaced(config, "          - 10.0.0.11:9090\n          - 10.0.0.12:9090\n", f"          - {target}\n")
        config = replaced(config, "scrape_interval: 15s", "scrape_interval: 1s")
        config = replaced(config, "evaluation_interval: 15s", "evaluation_interval: 1s")
        (folder / "prometheus.yml").write_text(config)
        (folder / "alerts.yml").write_text((SHIPPED / "alerts.yml").read_text())
        subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
        self.log = (folder / "prometheus.log").open("w")
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path, **parameters):
        said = json.loads(fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert said["status"] == "success", said
        return said["data"]

    def value(self, expr):
        """The sum of what is found; None if nothing is."""
        found = self.ask("query", query=expr)["result"]
        return sum(float(one["value"][1]) for one in found) if found else None


def sandbox_says(said, what):
    return until(f"the sandbox says {what}", lambda: re.search(rf"{what} (http://[0-9.:]+)", said.read_text()))[1]


def dashboard_queries():
    """Every question that the dashboard asks, with what Grafana would put in."""
    dashboard = json.loads((SHIPPED / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expr = target["expr"]
            for name, text in {"$__rate_interval": "1m", "$__range": "1h", "$job": ".*", "$connection": ".*"}.items():
                expr = expr.replace(name, text)
            assert "$" not in expr, expr
            yield panel["title"], expr


def look(gateway, folder):
    said = folder / "sandbox.log"
    processes = [subprocess.Popen([gateway, "sandbox", "--port", "0"], stdout=said.open("w"))]
    try:
        page = sandbox_says(said, "The sandbox is on")
        operations = sandbox_says(said, "metrics are on")
        prometheus = Prometheus(folder, operations.removeprefix("http://"))
        processes.append(prometheus.process)
        until("Prometheus has asked once", lambda: prometheus.value("up") == 1)
        assert prometheus.value('gateway_build_info{job="gigya-esp-gateway"}') == 1

        # Somebody opts in, and out.
        fetch(f"{page}/act", {"do": "sign_up", "name": "ann"})

        def ann():
            state = json.loads(fetch(f"{page}/state"))
            return re.search(r'"uid": ?"([^"]+)"', json.dumps(state["people"]))

        uid = until("ann is there", ann)[1]
        for act in ("subscribe", "unsubscribe"):
            fetch(f"{page}/act", {"do": act, "uid": uid})
            until(f"{act} is applied", lambda: settled(operations) > settled.before)
            settled.before = settled(operations)

        # It is there, and what is recorded of it, too: all of it is new.
        until("events are scraped", lambda: (prometheus.value('gateway_events_total{outcome="applied"}') or 0) >= 2)
        recorded = 'gateway:events:increase_15m{outcome="applied"}'
        until("events are recorded", lambda: (prometheus.value(recorded) or 0) >= 2)
        assert prometheus.value("sum(gateway_upstream_calls_total)") > 0

        # Every rule is loaded, was evaluated, and has nothing to say of a gateway that is well.
        loaded = (SHIPPED / "alerts.yml").read_text()

        def evaluated():
            groups = prometheus.ask("rules")["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert len(rules) == len(re.findall(r"^ +- (?:alert|record): ", loaded, re.MULTILINE)), len(rules)
            assert all(rule["health"] == "ok" for rule in rules), [rule for rule in rules if rule["health"] != "ok"]
            return rules

        rules = until("all rules are evaluated", evaluated)
        firing = [rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"]
        assert not firing, firing

        # What the dashboard asks is understood.
        answered = 0
        questions = list(dashboard_queries())
        for title, expr in questions:
            try:
                answered += bool(prometheus.ask("query", query=expr)["result"])
            except urllib.error.HTTPError as error:
                raise SystemExit(f"the dashboard's {title!r}: {expr}: {error.read().decode()}") from error
        print(f"{len(rules)} rules evaluate, {len(questions)} questions of the dashboard are understood, {answered} answered")
        print(f"{int(count(prometheus))} series of one replica")
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def count(prometheus):
    return prometheus.value('count({job="gigya-esp-gateway"})')


def settled(operations):
    """Events that took effect."""
    lines = fetch(f"{operations}/metrics").splitlines()
    applied = [line for line in lines if line.startswith("gateway_events_total") and 'outcome="applied"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in applied)


settled.before = 0

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        look(sys.argv[1], pathlib.Path(place))
