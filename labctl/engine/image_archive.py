"""The images in a file, read from the file itself, so that they are known before the engine loads it.

`docker image save` writes a tar with a manifest.json, and since Docker 25 also the index of an OCI layout; other
programs write the layout alone. Everything that an engine may read in a file is read here, and all of it must be
images.
Engines are written in Go, which reads some archives and some JSON differently from Python: an ambiguous file
is refused.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import posixpath
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANIFEST, INDEX = "manifest.json", "index.json"
# The file that an engine reads without a manifest; Docker writes it beside one.
LEGACY = "repositories"
# An image of Consul has a few hundred megabytes in some tens of members; its descriptions have some kilobytes.
MOST_BYTES = 4 << 30
MOST_MEMBERS = 4096
MOST_BYTES_OF_ONE = 1 << 20
MOST_BYTES_OF_ALL = 32 << 20
MOST_IMAGES = 64
# Docker ends an archive with a kilobyte of zeros; whoever writes one for a tape fills the last block of that.
MOST_PADDING = 64 << 20
_DEEPEST = 4
_UNPACKERS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_REGISTRY = "docker.io/"
_NAME, _TAG = "io.containerd.image.name", "org.opencontainers.image.ref.name"
_KIND = "vnd.docker.reference.type"
_NOT_DOCKERS = "is not as Docker writes an image"


class ArchiveError(Exception):
    """Why a file is no archive of images, as the end of a sentence."""


@dataclass(frozen=True)
class ArchivedImage:
    """An image of the file: the digest of its configuration, its names as Docker shows them, and its labels."""

    digest: str
    names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def read(file: IO[bytes]) -> list[ArchivedImage]:
    """All images that a file holds, from its beginning. Raises ArchiveError, and OSError where it cannot be read."""
    file.seek(0)
    first = file.read(max(map(len, _UNPACKERS)))
    file.seek(0)
    unpack = next((unpacker for sign, unpacker in _UNPACKERS.items() if first.startswith(sign)), None)
    try:
        texts = _texts(file if unpack is None else unpack(file))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ArchiveError("is no archive, or a damaged one") from error
    except MemoryError as error:
        # A packed file says itself how much that is.
        raise ArchiveError("needs more memory to unpack than this machine gives") from error
    try:
        images = _each_once([*_of_manifest(texts), *_of_index(texts)])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArchiveError(_NOT_DOCKERS) from error
    if not images:
        raise ArchiveError("holds no image")
    return images


def _each_once(images: Iterable[ArchivedImage]) -> list[ArchivedImage]:
    """Images that both lists name, with the names of both."""
    once: dict[str, ArchivedImage] = {}
    for image in images:
        names = once[image.digest].names if image.digest in once else ()
        once[image.digest] = ArchivedImage(image.digest, tuple(dict.fromkeys((*names, *image.names))), image.labels)
    return list(once.values())


class _Entry(tarfile.TarInfo):
    """A member whose header Go and Python read alike."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        magic, prefix = buf[257:265], buf[345:500]
        # Of a header without a format, or of GNU's, Python takes the prefix into the name, and Go does not.
        if any(buf) and magic != b"ustar\x0000" and (magic != b"ustar  \0" or any(prefix)):
            raise ArchiveError(_NOT_DOCKERS)
        return super().frombuf(buf, encoding, errors)


class _Bounded:
    """A stream of bytes, read no further than the size of an image, in pieces that fit the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_BYTES_OF_ONE:
            raise ArchiveError(_NOT_DOCKERS)
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0 or position > MOST_BYTES:
            raise ArchiveError(f"holds more than {MOST_BYTES >> 30} GiB, which no image of a lab does")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def _texts(stream: IO[bytes]) -> dict[str, bytes]:
    """The small files of a tar by their names, the last of each name, as unpacking would leave it."""
    texts: dict[str, bytes] = {}
    kept = 0
    files, links = set[str](), set[str]()
    bounded = _Bounded(stream)
    with tarfile.open(fileobj=bounded, mode="r:", tarinfo=_Entry) as tar:  # type: ignore[call-overload]
        for number, entry in enumerate(tar):
            if number >= MOST_MEMBERS:
                raise ArchiveError(f"has more than {MOST_MEMBERS} members, which no image of a lab has")
            name = posixpath.normpath(entry.name.lstrip("/"))
            # Headers for all members that follow count in Python only, and so do holes in a file.
            if tar.pax_headers or entry.issparse() or not (entry.isreg() or entry.isdir() or entry.issym()):
                raise ArchiveError(_NOT_DOCKERS)
            if not entry.isreg() and name in (MANIFEST, INDEX, LEGACY):
                raise ArchiveError(_NOT_DOCKERS)
            if entry.issym():
                links.add(name)
            elif entry.isreg():
                files.add(name)
            if not entry.isreg() or entry.size > MOST_BYTES_OF_ONE:
                texts.pop(name, None)
                continue
            kept += entry.size
            if kept > MOST_BYTES_OF_ALL:
                raise ArchiveError(_NOT_DOCKERS)
            content = tar.extractfile(entry)
            texts[name] = content.read() if content is not None else b""
        _refuse_more(bounded, tar.offset)
    # A path below a link ends up somewhere else when it is unpacked.
    if any(folder in links for name in files for folder in _folders(name)):
        raise ArchiveError(_NOT_DOCKERS)
    return texts


def _refuse_more(stream: _Bounded, end: int) -> None:
    """Raise ArchiveError where something follows that Python takes for the end, and another program may not."""
    stream.seek(end)
    ends, most = False, end + MOST_PADDING
    while piece := stream.read(MOST_BYTES_OF_ONE):
        end += len(piece)
        if end > most or piece.count(0) < len(piece):
            raise ArchiveError(_NOT_DOCKERS)
        ends = True
    if not ends:
        raise EOFError


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts))]


def _document(text: bytes) -> Any:
    """Parse a JSON document. Raises ValueError for a repeated key, of which each reader takes another value."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise ValueError
        return fields

    return json.loads(text, object_pairs_hook=object_of)


def _value(document: Mapping[str, Any], key: str) -> Any:
    """The value of a key in an object, else None. Go takes a key whatever its case, and the last one counts."""
    spelled = [name for name in document if name.casefold() == key.casefold()]
    if spelled and spelled != [key]:
        raise ValueError
    return document.get(key)


def _must(document: Mapping[str, Any], key: str) -> Any:
    value = _value(document, key)
    if value is None:
        raise ValueError
    return value


def _of_manifest(texts: Mapping[str, bytes]) -> list[ArchivedImage]:
    """What `manifest.json` lists."""
    if MANIFEST not in texts:
        if LEGACY in texts:
            raise ValueError
        return []
    listed = _document(texts[MANIFEST])
    if not isinstance(listed, list) or len(listed) > MOST_IMAGES:
        raise ValueError
    return [
        _held(
            texts,
            posixpath.normpath(_text(_must(entry, "Config"))),
            [_text(name) for name in _value(entry, "RepoTags") or []],
        )
        for entry in listed
    ]


def _of_index(texts: Mapping[str, bytes]) -> list[ArchivedImage]:
    """The images in the `index.json` of an OCI layout."""
    if INDEX not in texts:
        return []
    listed = _must(_document(texts[INDEX]), "manifests")
    if not isinstance(listed, list) or len(listed) > MOST_IMAGES:
        raise ValueError
    images = []
    for entry in listed:
        marks = _value(entry, "annotations") or {}
        name = marks.get(_NAME) or marks.get(_TAG)
        names = [_text(name)] if name else []
        images += [_held(texts, config, names) for config in _configurations(texts, entry, 0)]
    return images


def _configurations(texts: Mapping[str, bytes], descriptor: dict[str, Any], depth: int) -> list[str]:
    """The configurations below a descriptor: of its image, or of those of an index, one for each platform."""
    document = _document(texts[_blob(descriptor)])
    manifests = _value(document, "manifests")
    if manifests is None:
        return [_blob(_must(document, "config"))]
    if depth >= _DEEPEST or len(manifests) > MOST_IMAGES:
        raise ValueError
    return [
        config
        for manifest in manifests
        # Attestations of the build are not run. Images of other platforms need not be in the file.
        if (_value(manifest, "annotations") or {}).get(_KIND) is None and _blob(manifest) in texts
        for config in _configurations(texts, manifest, depth + 1)
    ]


def _blob(descriptor: dict[str, Any]) -> str:
    return f"blobs/{_text(_must(descriptor, 'digest')).replace(':', '/')}"


def _held(texts: Mapping[str, bytes], config: str, names: list[str]) -> ArchivedImage:
    labels = _value(_value(_document(texts[config]), "config") or {}, "Labels") or {}
    if not all(isinstance(label, str) for label in (*labels, *labels.values())):
        raise ValueError
    return ArchivedImage(
        posixpath.basename(config).removesuffix(".json"), tuple(familiar(name) for name in names), labels
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def familiar(name: str) -> str:
    """A name as Docker shows it: without Docker's own registry."""
    return name.removeprefix(_REGISTRY).removeprefix("library/") if name.startswith(_REGISTRY) else name
