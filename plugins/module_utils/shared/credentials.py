"""The credentials of a `full` lab: the tokens and the certificate authority in its config volume.

They are read from the volume through Docker when they are needed, and are kept in memory only.
"""

from __future__ import annotations

import io
import ssl
import tarfile
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONFIG_FOLDER = "/consul/config"
# A folder of its own: Consul warns about each file in its configuration folder that it does not read.
FOLDER = f"{CONFIG_FOLDER}/access"
TOKEN = "token"  # noqa: S105 - a file's name
RECOVERY_TOKEN = "recovery.token"  # noqa: S105 - a file's name
AUTHORITY = "ca.pem"
CERTIFICATE = "server.pem"
KEY = "server-key.pem"

# X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h). The authority comes from the lab itself and is the only trusted
# one, and a clock a second behind the Docker host's must not reject a new certificate as not yet valid.
_NO_CHECK_TIME = 0x200000


def server_name(datacenter: str) -> str:
    """The name that `consul tls cert create -server` writes into the certificate of all servers of a datacenter."""
    return f"server.{datacenter}.consul"


@dataclass(frozen=True)
class Access:
    """The credentials for the servers of a `full` lab.

    Attributes:
        token: the lab's token, which may do everything once there was a leader.
        recovery_token: the token that an agent accepts by itself, with a leader or without.
        authority: the certificate authority of the lab, as PEM.
        server_name: the name in the servers' certificate.
    """

    token: str = field(repr=False)
    recovery_token: str = field(repr=False)
    authority: str = field(repr=False)
    server_name: str

    def headers(self, path: str) -> dict[str, str]:
        """The headers of a request for `path`.

        Before the first election the token does not exist: requests about the agent itself use the agent's own.
        """
        return {"X-Consul-Token": self.recovery_token if path.startswith("/v1/agent/") else self.token}

    @cached_property
    def context(self) -> ssl.SSLContext:
        """TLS with servers that this lab's authority signed, and no other. Raises OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority)
        context.verify_flags |= _NO_CHECK_TIME
        return context


class Keys:
    """The credentials of one lab, read at their first use.

    Args:
        lab: the lab's name, which is its datacenter.
        containers: its servers' containers; each has the volume, also one that does not run.
        archive: gives a folder of a container as a tar; raises OSError.
    """

    def __init__(self, lab: str, containers: Iterable[str], archive: Callable[[str, str], bytes]) -> None:
        self._lab = lab
        self._containers = tuple(containers)
        self._archive = archive
        self._lock = threading.Lock()
        self._access: Access | None = None

    def __call__(self) -> Access:
        """The credentials. Raises OSError where no container has them."""
        with self._lock:
            if self._access is None:
                self._access = self._read()
            return self._access

    def _read(self) -> Access:
        said = "it has no server"
        for container in self._containers:
            try:
                return access_from(self._archive(container, FOLDER), self._lab)
            except OSError as error:
                said = str(error)
        raise OSError(f"the token of the lab {self._lab} cannot be read from its volume: {said}")


def access_from(archive: bytes, lab: str) -> Access:
    """The credentials in a tar of the folder. Raises OSError where they are incomplete."""
    files: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    files[entry.name.rpartition("/")[2]] = content.read().decode("ascii")
        return Access(files[TOKEN].strip(), files[RECOVERY_TOKEN].strip(), files[AUTHORITY], server_name(lab))
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise OSError(f"{FOLDER} does not hold what it should ({type(error).__name__})") from error
