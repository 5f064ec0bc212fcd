"""Connect to the Docker Engine that the docker command uses, and say in one sentence why that fails."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import APIError, DockerException

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 20
DEFAULT_SOCKET = "/var/run/docker.sock"


def address() -> str | None:
    """The engine's address: DOCKER_HOST, else the context that the docker command takes; None means the default."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
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
    """Turn what the Docker library raised into one sentence."""
    said = str(error)
    lower = said.lower()
    if "permission denied" in lower:
        return LabctlError(
            "This user may not use the Docker socket: join the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again) or run labctl with sudo."
        )
    where = address() or DEFAULT_SOCKET
    if "no such file" in lower or "connection refused" in lower or "connection aborted" in lower:
        return LabctlError(
            f"No Docker Engine answers at {where}: `labctl doctor --fix` starts it, "
            "and installs it where it is missing."
        )
    if isinstance(error, APIError) and error.explanation:
        return LabctlError(f"Docker refused: {str(error.explanation).strip()}")
    if isinstance(error, requests.exceptions.Timeout):
        return LabctlError(f"The Docker Engine at {where} did not answer within {TIMEOUT_SECONDS} seconds.")
    return LabctlError(f"Talking to Docker at {where} failed: {said.splitlines()[0] if said else type(error).__name__}")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Let what the Docker library raises inside come out as a LabctlError."""
    try:
        yield
    except (DockerException, requests.exceptions.RequestException) as error:
        raise explain(error) from error


def connect() -> docker.APIClient:
    """Connect. Raises LabctlError where no engine answers or this user may not use it."""
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
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    return docker.tls.TLSConfig(
        client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=verify
    )


def refused(sentence: str) -> LabctlError:
    """An error with the exit code for `not yours` and `would not fit`."""
    return LabctlError(sentence, ExitCode.REFUSED)
