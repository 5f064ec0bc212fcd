"""What people hand in as a server's log: its lines, in whatever carried them. Each knows how to wrap a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "node-7"
FAKE = "2031-05-06T07:08:09.123456"
"""The time that the carrier of a line gives it, not the line's own time."""


class Carrier(NamedTuple):
    """One way to carry a line: what wraps it, and where the line says that it is from, if it does."""

    wrap: Callable[[str], str]
    source: str | None = None
    host: str | None = None


def _in(**members: object) -> Callable[[str], str]:
    """A member of a JSON object that holds the line, where the value is `...`."""

    def filled(value: object, line: str) -> object:
        if value is ...:
            return line
        return {key: filled(part, line) for key, part in value.items()} if isinstance(value, dict) else value

    return lambda line: json.dumps(filled(members, line))


def _front(text: str) -> Callable[[str], str]:
    return lambda line: text + line


_DOCKER = {"log": ..., "stream": "stdout", "time": f"{FAKE}789Z"}
_KUBERNETES = {"pod_name": "consul-0", "container_name": "consul", "host": HOST}
_JOURNAL = {
    "__REALTIME_TIMESTAMP": "1936163289123456", "_HOSTNAME": HOST, "SYSLOG_IDENTIFIER": "consul", "PRIORITY": "6",
    "MESSAGE": ...,
}  # fmt: skip

CARRIERS: dict[str, Carrier] = {
    "bare": Carrier(_front("")),
    "four blanks": Carrier(_front("    ")),
    # systemd
    "journald short": Carrier(_front(f"May 06 07:08:09 {HOST} consul[1]: "), host=HOST),
    "journald short-precise": Carrier(_front(f"May 06 07:08:09.123456 {HOST} consul[1]: "), host=HOST),
    "journald short-iso": Carrier(_front(f"2031-05-06T07:08:09+0000 {HOST} consul[1]: "), host=HOST),
    "journald short-iso-precise": Carrier(_front(f"{FAKE}+0000 {HOST} consul[1]: "), host=HOST),
    "journald short-full": Carrier(_front(f"Tue 2031-05-06 07:08:09 UTC {HOST} consul[1]: "), host=HOST),
    "journald short-full of a zone": Carrier(_front(f"Tue 2031-05-06 07:08:09 CEST {HOST} consul[1]: "), host=HOST),
    "journald short-full of a locale": Carrier(_front(f"Di 2031-05-06 07:08:09 CEST {HOST} consul[1]: "), host=HOST),
    "journald with-unit": Carrier(_front(f"Tue 2031-05-06 07:08:09 UTC {HOST} consul.service[1]: "), host=HOST),
    "journald short-unix": Carrier(_front(f"1936163289.123456 {HOST} consul[1]: "), host=HOST),
    "journald short-monotonic": Carrier(_front(f"[ 1234.567890] {HOST} consul[1]: "), host=HOST),
    "journald short-delta": Carrier(_front(f"[ 1234.567890 <    0.000101 >] {HOST} consul[1]: "), host=HOST),
    "journald of a locale": Carrier(_front(f"mai 06 07:08:09 {HOST} consul[1]: "), host=HOST),
    "journald of a locale with a dot": Carrier(_front(f"févr. 06 07:08:09 {HOST} consul[1]: "), host=HOST),
    "journald without the host": Carrier(_front("May 06 07:08:09 consul[1]: ")),
    "journald without the date": Carrier(_front(f"07:08:09 {HOST} consul[1]: "), host=HOST),
    "journald json": Carrier(_in(**_JOURNAL), host=HOST),
    "journald json of bytes": Carrier(
        lambda line: json.dumps({"_HOSTNAME": HOST, "MESSAGE": list(line.encode())}, separators=(",", ":")), host=HOST
    ),
    "journald json-pretty": Carrier(lambda line: f'\t"MESSAGE" : {json.dumps(line)},'),
    "journald json-sse": Carrier(lambda line: "data: " + _in(**_JOURNAL)(line), host=HOST),
    "journald export": Carrier(_front("MESSAGE=")),
    "journald verbose": Carrier(_front("    MESSAGE=")),
    # syslog
    "RFC 3164": Carrier(_front(f"May  6 07:08:09 {HOST} consul[1]: "), host=HOST),
    "RFC 3164 without the process": Carrier(_front(f"May  6 07:08:09 {HOST} consul: "), host=HOST),
    "RFC 3164 with priority": Carrier(_front(f"<30>May  6 07:08:09 {HOST} consul[1]: "), host=HOST),
    "rsyslog ISO": Carrier(_front(f"{FAKE}+00:00 {HOST} consul[1]: "), host=HOST),
    "rsyslog ISO without the process": Carrier(_front(f"{FAKE}+00:00 {HOST} consul: "), host=HOST),
    "RFC 5424": Carrier(_front(f"1 {FAKE}Z {HOST} consul 123 - - "), host=HOST),
    "RFC 5424 with priority": Carrier(_front(f"<30>1 {FAKE}Z {HOST} consul 123 - - "), host=HOST),
    "RFC 5424 with data": Carrier(_front(f'<30>1 {FAKE}Z {HOST} consul - ID7 [x@1 a="b c"] '), host=HOST),
    # Docker, Kubernetes
    "docker logs -t": Carrier(_front(f"{FAKE}789Z ")),
    "docker json-file": Carrier(lambda line: _in(**_DOCKER)(line + "\n")),
    "docker json-file with attributes": Carrier(
        _in(**_DOCKER, attrs={"tag": "x", "container_name": "consul-7"}), source="consul-7"
    ),
    "compose": Carrier(_front("consul1_1  | "), source="consul1_1"),
    "compose in colours": Carrier(_front("\x1b[36mconsul1-1  |\x1b[0m "), source="consul1-1"),
    "compose in copied colours": Carrier(_front("[36mconsul1-1  |[0m "), source="consul1-1"),
    "compose in colours that cat -v shows": Carrier(_front("^[[36mconsul1-1  |^[[0m "), source="consul1-1"),
    "compose -t": Carrier(_front(f"consul1-1  | {FAKE}789Z "), source="consul1-1"),
    "CRI": Carrier(_front(f"{FAKE}789+00:00 stdout F ")),
    "CRI, a part": Carrier(_front(f"{FAKE}789Z stderr P ")),
    "kubectl --prefix": Carrier(_front("[pod/consul-0/consul] "), source="consul-0"),
    "kubectl --prefix --timestamps": Carrier(_front(f"[pod/consul-0/consul] {FAKE}789Z "), source="consul-0"),
    "stern": Carrier(_front("consul-0 consul "), host="consul-0"),
    "stern -A": Carrier(_front("production consul-0 consul "), host="consul-0"),
    "stern -t": Carrier(_front(f"consul-0 consul {FAKE}789Z "), host="consul-0"),
    "stern -o json": Carrier(
        _in(message=..., nodeName=HOST, namespace="production", podName="consul-0", containerName="consul"),
        source="consul-0",
    ),
    # Shippers and log stores
    "fluent-bit": Carrier(
        _in(date=1936163289.123456, stream="stdout", _p="F", log=..., kubernetes=_KUBERNETES),
        source="consul-0", host=HOST,
    ),
    "fluent-bit to standard output": Carrier(
        lambda line: f"[0] kube.consul: [[1936163289.123456, {{}}], {_in(log=..., kubernetes=_KUBERNETES)(line)}]",
        source="consul-0", host=HOST,
    ),
    "filebeat": Carrier(
        _in(**{"@timestamp": f"{FAKE[:23]}Z", "message": ..., "host": {"name": HOST}, "log": {"offset": 12},
               "kubernetes": {"pod": {"name": "consul-0"}, "container": {"name": "consul"}}}),
        source="consul-0", host=HOST,
    ),
    "GKE": Carrier(
        _in(insertId="x", textPayload=..., timestamp=f"{FAKE}789Z", severity="INFO",
            resource={"type": "k8s_container", "labels": {"pod_name": "consul-0", "container_name": "consul"}}),
        source="consul-0",
    ),
    "GKE of a list": Carrier(lambda line: f"  {_in(textPayload=...)(line)},"),
    "Elasticsearch": Carrier(_in(_index="x", _source={"@timestamp": f"{FAKE[:23]}Z", "message": ...})),
    "Splunk": Carrier(_in(preview=False, result={"_raw": ..., "_time": f"{FAKE[:23]}+00:00", "host": HOST}), host=HOST),
    "promtail": Carrier(_in(labels={"pod": "consul-0"}, line=..., timestamp=f"{FAKE}789Z"), source="consul-0"),
    "a shipper of its own": Carrier(_in(output=..., rule="x")),
    "a member of any name": Carrier(_in(at=1, entry=...)),
    "JSON in JSON": Carrier(lambda line: _in(message=...)(_in(**_DOCKER)(line))),
    "JSON in CRI": Carrier(lambda line: f"{FAKE}789Z stdout F {_in(msg=...)(line)}"),
    "pretty JSON": Carrier(lambda line: f'      "message": {json.dumps(line)},'),
    "pretty JSON in JSON": Carrier(lambda line: f'  "message": {json.dumps(json.dumps({"log": line}))},'),
    "aws logs tail": Carrier(_front(f"{FAKE}+00:00 ecs/consul/12ab34cd "), host="ecs/consul/12ab34cd"),
    "aws logs tail --format short": Carrier(_front("2031-05-06T07:08:09 ")),
    "logcli": Carrier(_front('2031-05-06T07:08:09Z {container="consul", pod="consul-0"} '), source="consul-0"),
    "logcli without labels": Carrier(_front("2031-05-06T07:08:09Z {} ")),
    "logcli -o jsonl": Carrier(
        _in(labels={"pod": "consul-0", "node_name": HOST}, line=..., timestamp=f"{FAKE}Z"),
        source="consul-0", host=HOST,
    ),
    "Datadog CSV": Carrier(
        lambda line: ",".join(
            '"' + field.replace('"', '""') + '"' for field in (f"{FAKE[:23]}Z", HOST, "consul", line, "x")
        ),
        host=HOST,
    ),
    "CSV without quotes": Carrier(_front(f"{FAKE[:23]}Z,{HOST},consul,"), host=HOST),
    "Kibana's table": Carrier(_front("May 6, 2031 @ 07:08:09.123\tconsul-0\t"), host="consul-0"),
    "Cloud Logging's table": Carrier(_front("2031-05-06 07:08:09.123 CEST\t")),
    # Other programs
    "supervisord": Carrier(_front("consul stdout | ")),
    "vagrant": Carrier(_front("==> server1: "), host="server1"),
    "vagrant's output": Carrier(_front("    server1: "), host="server1"),
    "logrus": Carrier(_front("INFO[0001] ")),
    "logrus logfmt": Carrier(lambda line: f'time="{FAKE[:19]}Z" level=info msg={json.dumps(line)} host={HOST}'),
    "zap": Carrier(_front(f"{FAKE[:23]}Z\tINFO\tlogs/ship.go:12\t")),
    "zap json": Carrier(_in(level="info", ts=1936163289.12, caller="logs/ship.go:12", msg=...)),
    "a host": Carrier(_front(f"{HOST} "), host=HOST),
    "a host with a colon": Carrier(_front(f"{HOST}: "), host=HOST),
    "an ID of each request": Carrier(_front("12ab34cd-0b4f-1111-2222-12ab34cd56ef ")),
    "a container's ID": Carrier(_front("12ab34cd56ef ")),
    "grep -H of what was rotated": Carrier(_front("server1/consul.log.2:"), source="server1/consul"),
    "a logger's own line": Carrier(_front("2031-05-06 07:08:09,123 [INFO] ship: ")),
    "grep -H": Carrier(_front("logs/server1/consul.log:"), source="logs/server1/consul"),
    "grep -Hn": Carrier(_front("logs/server1/consul.log:123:"), source="logs/server1/consul"),
    "grep -Hn of what stands beside": Carrier(_front("consul1.log-123-"), source="consul1"),
    "grep -n": Carrier(_front("123:")),
    "cat -n": Carrier(_front("   123\t")),
    "less -N": Carrier(_front("    123 ")),
    "a numbered list": Carrier(_front("12. ")),
    "a quotation": Carrier(_front("> ")),
    "a quotation of a quotation": Carrier(_front(">> > ")),
    "a list": Carrier(_front("- ")),
    "code in a list": Carrier(lambda line: f"* `{line}`"),
    "a row of a table": Carrier(_front("| ")),
    "an R string": Carrier(lambda line: f"'{line}'"),
    "GitHub Actions": Carrier(_front(f"test\tRun tests\t{FAKE}7Z ")),
}  # fmt: skip
