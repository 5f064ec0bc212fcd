"""What the engine sends of a log that has an end: in pieces as it comes, and never taken for whole where it broke.

Docker's library waits for ever for the next piece of a stream, and takes a connection that broke for the end of a log.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

HEADER = struct.Struct(">BxxxL")
STREAMS = (0, 1, 2)
PIECE = 65_536
MOST_BYTES = 1 << 20
"""Docker's own pieces have 16 KiB."""


class Readable(Protocol):
    """An answer that is read as it comes."""

    def read(self, amt: int, /) -> bytes:
        """So many bytes, or fewer at its end."""


class BrokenLogError(Exception):
    """The answer ended in the middle of a piece."""


def log_so_far(
    library: docker.APIClient, container: str, *, tail: int | str, since: float | None, timeout: float
) -> Iterator[bytes]:
    """A container's log up to now, in pieces, each line with Docker's time in front.

    Raises what Docker's library raises, also where the engine says nothing more for `timeout` seconds.
    """
    import requests  # noqa: PLC0415 - loaded with the library
    import urllib3  # noqa: PLC0415
    from docker.errors import create_api_error_from_http_exception  # noqa: PLC0415

    query = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": 0, "tail": tail}
    if since is not None:
        query["since"] = f"{since:.9f}"
    address = f"{library.base_url}/v{library.api_version}/containers/{container}/logs"
    answer = library.get(address, params=query, stream=True, timeout=timeout)
    try:
        answer.raise_for_status()
        yield from frames(answer.raw)
    except requests.exceptions.HTTPError as error:
        create_api_error_from_http_exception(error)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(f"nothing more of a log came for {timeout:g} seconds") from error
    except (urllib3.exceptions.HTTPError, BrokenLogError) as error:
        raise requests.exceptions.ConnectionError(f"a log broke off: {error}") from error
    finally:
        answer.close()


def frames(answer: Readable) -> Iterator[bytes]:
    """What was written, without Docker's headers; a container with a terminal has none, and is read as it comes."""
    header = answer.read(HEADER.size)
    if header and not _is_header(header):
        while header:
            yield header
            header = answer.read(PIECE)
        return
    while header:
        if not _is_header(header):
            raise BrokenLogError("what came is no piece of a log")
        length = HEADER.unpack(header)[1]
        piece = answer.read(length) if length else b""
        if len(piece) < length:
            raise BrokenLogError(f"{len(piece)} of {length} bytes came")
        yield piece
        header = answer.read(HEADER.size)


def _is_header(header: bytes) -> bool:
    if len(header) < HEADER.size or header[1:4] != b"\0\0\0":
        return False
    stream, length = HEADER.unpack(header)
    return stream in STREAMS and length <= MOST_BYTES
