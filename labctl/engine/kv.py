"""Consul's key/value store through one server's loopback port, with certain and uncertain failures kept apart.

A write without an answer may have happened or not, and whoever checks a history must know which. So there are two
exceptions: `NotApplied` where certainly nothing happened, `Indeterminate` where that is not known.
"""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.shared.consul_client import ConsulClient

Mode = Literal["consistent", "default", "stale"]
"""How fresh a read is: confirmed by a majority; by a leader within its lease; from any server, however far behind."""
MODES: tuple[Mode, ...] = ("consistent", "default", "stale")

# With these errors the server passed the request on to nobody: it may be sent again (agent/consul/rpc.go, canRetry).
_NOTHING_HAPPENED = ("No cluster leader", "node is not the leader")


class NotApplied(Exception):  # noqa: N818 - it is an answer
    """The request certainly had no effect: no server, or no leader, took it."""


class Indeterminate(Exception):  # noqa: N818 - it is an answer
    """No answer came, or none that shows whether the request had an effect."""


@dataclass(frozen=True)
class Entry:
    """The result of a read: the value, and the index of the log entry that wrote it."""

    value: str
    index: int


class Store:
    """A connection to one server, kept open between requests; for one thread.

    Args:
        api: the server's HTTP API.
        datacenter: the lab's own. A port may meanwhile belong to another lab, whose servers refuse a foreign
            datacenter.
        timeout: seconds until a request counts as unanswered, for the whole of its answer.
    """

    def __init__(self, api: ConsulClient, datacenter: str, timeout: float) -> None:
        self._connection = api.connection(timeout)
        self._datacenter = datacenter

    def close(self) -> None:
        """Hang up. The next request connects again."""
        self._connection.close()

    def put(self, key: str, value: str, *, cas: int | None = None) -> bool:
        """Write. With `cas`, only where the key's index is that one, or 0 where there must be no such key.

        Returns:
            Whether it was written.

        Raises:
            NotApplied: it was certainly not.
            Indeterminate: it is not known.
        """
        query = {} if cas is None else {"cas": str(cas)}
        answer = self._ask("PUT", key, query, value.encode())
        if not isinstance(answer, bool):
            raise Indeterminate(f"an answer that is neither true nor false: {str(answer)[:80]}")
        return answer

    def get(self, key: str, mode: Mode = "consistent") -> Entry | None:
        """Read one key; None where it is not there. Raises NotApplied or Indeterminate."""
        answer = self._ask("GET", key, _mode(mode))
        if answer is None:
            return None
        if not isinstance(answer, list) or len(answer) != 1:
            raise Indeterminate(f"an answer that is not one key: {str(answer)[:80]}")
        return _found(answer[0])

    def all(self, prefix: str) -> dict[str, Entry]:
        """Read every key below a prefix, as a majority knows them. Raises NotApplied or Indeterminate."""
        answer = self._ask("GET", prefix, {"recurse": "", **_mode("consistent")})
        return {str(entry["Key"]): _found(entry) for entry in answer or ()}

    def delete(self, prefix: str) -> None:
        """Remove every key below a prefix. Raises NotApplied or Indeterminate."""
        self._ask("DELETE", prefix, {"recurse": ""})

    def leader(self) -> str:
        """The server's own leader, by address; "" where it knows none. Raises NotApplied or Indeterminate."""
        answer = self._request("GET", "/v1/status/leader", {})
        return str(answer or "").rpartition(":")[0]

    def _ask(self, method: str, key: str, query: Mapping[str, str], body: bytes | None = None) -> Any:
        return self._request(method, f"/v1/kv/{quote(key)}", query, body)

    def _request(self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None) -> Any:
        words = urlencode({"dc": self._datacenter, **query})
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except OSError as error:
                raise NotApplied(f"{type(error).__name__}: {error}") from error
        try:
            self._connection.request(method, f"{path}?{words}", body)
            answer = self._connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Indeterminate(f"{type(error).__name__}: {error}") from error
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            said = f"HTTP {answer.status}: {text.strip()[:200]}"
            raise NotApplied(said) if any(sign in text for sign in _NOTHING_HAPPENED) else Indeterminate(said)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Indeterminate(f"an answer that is no JSON: {text[:80]}") from error


def _mode(mode: Mode) -> dict[str, str]:
    return {} if mode == "default" else {mode: ""}


def _found(answer: Any) -> Entry:
    try:
        value = base64.b64decode(answer["Value"] or "").decode("utf-8", "replace")
        return Entry(value, int(answer["ModifyIndex"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Indeterminate(f"an answer that holds no key: {str(answer)[:80]}") from error
