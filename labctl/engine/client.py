"""Connect to the Docker Engine that the docker command uses, and say in one sentence why that fails.

What only reads lists asks the engine's socket itself, as the modules do: loading Docker's Python library takes longer
than everything that `labctl ls` does besides. Whatever else is asked of a client is the library's.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.portable.docker_api import DEFAULT_SOCKET, DockerError, Engine, plain_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

TIMEOUT_SECONDS = 20


class Client:
    """A connection to the engine: `docker.APIClient`, but for its lists."""

    def __init__(self) -> None:
        self._engine = Engine(TIMEOUT_SECONDS) if plain_socket() else None
        self._loaded: docker.APIClient | None = None

    @property
    def library(self) -> docker.APIClient:
        """Docker's own client. Raises LabctlError where no engine answers or this user may not use it."""
        if self._loaded is None:
            self._loaded = _connected_library()
        return self._loaded

    def __getattr__(self, name: str) -> Any:
        """Everything but lists is the library's."""
        return getattr(self.library, name)

    def containers(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Containers, also stopped ones, as the engine lists them."""
        if self._engine is None:
            return list(self.library.containers(all=True, filters=filters))
        return list(self._engine.get("/containers/json", filters, all=1, doing="listing containers"))

    def images(self, *, filters: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Images, as the engine lists them."""
        if self._engine is None:
            return list(self.library.images(filters=filters))
        return list(self._engine.get("/images/json", filters, doing="listing images"))

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Networks, as the engine lists them."""
        if self._engine is None:
            return list(self.library.networks(filters=filters))
        return self._engine.networks(filters, doing="listing networks")

    def volumes(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Volumes, as the engine lists them."""
        if self._engine is None:
            return list(self.library.volumes(filters=filters)["Volumes"] or [])
        return self._engine.volumes(filters, doing="listing volumes")


def connect() -> Client:
    """A client. Whether the engine answers shows with the first question."""
    return Client()


def address() -> str | None:
    """The engine's address: DOCKER_HOST, else the context that the docker command takes; None means the default."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    if plain_socket() is not None:
        return None
    import docker  # noqa: PLC0415 - only for a context
    from docker.errors import DockerException  # noqa: PLC0415

    with contextlib.suppress(DockerException, OSError, ValueError, KeyError):
        context = docker.ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT"))
        if context is not None and context.name != "default":
            return str(context.Host)
    return None


def host_name() -> str:
    """The Docker host as a user knows it: `local`, or what DOCKER_HOST says."""
    where = address()
    return "local" if where is None or where.startswith("unix://") else where


def explain(error: Exception) -> LabctlError:
    """Turn what the engine, or the Docker library, raised into one sentence."""
    said = error.said if isinstance(error, DockerError) else str(error)
    lower = said.lower()
    if "permission denied" in lower:
        return LabctlError(
            "This user may not use the Docker socket: join the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again) or run labctl with sudo."
        )
    where = address() or DEFAULT_SOCKET
    if any(sign in lower for sign in ("no such file", "connection refused", "connection aborted", "cannot connect to")):
        return LabctlError(
            f"No Docker Engine answers at {where}: `labctl doctor --fix` starts it, "
            "and installs it where it is missing."
        )
    if isinstance(error, DockerError):
        return LabctlError(error.sentence)
    if explanation := getattr(error, "explanation", None):
        return LabctlError(f"Docker refused: {str(explanation).strip()}")
    if type(error).__name__.endswith("Timeout"):
        return LabctlError(f"The Docker Engine at {where} did not answer within {TIMEOUT_SECONDS} seconds.")
    return LabctlError(f"Talking to Docker at {where} failed: {said.splitlines()[0] if said else type(error).__name__}")


def _is_of_docker(error: Exception) -> bool:
    """Whether the engine or the Docker library raised it; asked without loading the library."""
    parents = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, DockerError) or not parents.isdisjoint({"docker", "requests"})


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Let what the engine or the Docker library raises inside come out as a LabctlError."""
    try:
        yield
    except Exception as error:
        if _is_of_docker(error):
            raise explain(error) from error
        raise


def _connected_library() -> docker.APIClient:
    import docker  # noqa: PLC0415 - takes longer to load than most commands to run

    with explained():
        where = address()
        return docker.APIClient(
            base_url=where,
            version="auto",
            timeout=TIMEOUT_SECONDS,
            use_ssh_client=True,
            tls=_tls(where),
        )


def _tls(where: str | None) -> docker.tls.TLSConfig | bool:
    """TLS as DOCKER_CERT_PATH and DOCKER_TLS_VERIFY have it, the docker command's own variables."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not folder or where is None or not where.startswith("tcp://"):
        return False
    import docker  # noqa: PLC0415

    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    return docker.tls.TLSConfig(
        client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=verify
    )


def refused(sentence: str) -> LabctlError:
    """An error with the exit code for `not yours` and `would not fit`."""
    return LabctlError(sentence, ExitCode.REFUSED)
