"""Joins lines that a container's runtime cut in pieces: `P` is a piece, `F` the last one (CRI).

Half a line may say the opposite of the whole one, so it is never passed on: a line without an end is not one. Docker
cuts lines as well, at 16 KiB; of its JSON only the last piece ends with a newline.
"""

from __future__ import annotations

import re

LONGEST = 1 << 16
"""Bytes of a line that are kept; the rest of it is left out."""
MOST = 64
"""How many lines may lack their ends at once: those of several files under headings, each with two streams."""
_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_CRI = re.compile(rb"^[^\s\"{]{0,300}?" + _STAMP + rb" std(?:out|err) [FP][ :]", re.MULTILINE)
_LINE = re.compile(
    rb"(?P<whose>(?:\x1e[^\x1f\n]{1,300}\x1f)?[^\s\"{]{0,300}?)(?P<front>" + _STAMP
    + rb" (?P<stream>std(?:out|err)) )(?P<tag>[FP])(?::[\w:]{1,40})? "
)  # fmt: skip
_IS_A_PIECE = re.compile(rb" std(?:out|err) P[ :]")
_DOCKER = re.compile(rb'^\{"log":".*","stream":"std(?:out|err)"', re.MULTILINE)
_OF_DOCKER = re.compile(
    rb'(?P<whose>(?:\x1e[^\x1f\n]{1,300}\x1f)?)\{"log":"(?P<text>(?:[^"\\\n]|\\.)*)"(?P<rest>,"stream":"(?P<stream>std(?:out|err))".*)'
)
_DOCKER_CUTS = 1 << 14


def are_in(head: bytes) -> bool:
    """Whether a log that begins so may have pieces of lines."""
    return bool(_CRI.search(head) or _DOCKER.search(head))


def _are_cut_by_docker(lines: bytes) -> bool:
    return b'{"log":"' in lines and max(map(len, lines.split(b"\n"))) > _DOCKER_CUTS


class Pieces:
    """Joins the pieces of lines; each line stands where its last piece stood, and nothing where the others did."""

    def __init__(self) -> None:
        self._open: dict[bytes, bytes] = {}

    def block(self, lines: bytes) -> bytes:
        """Whole lines, of which none is a piece."""
        if not (self._open or _IS_A_PIECE.search(lines) or _are_cut_by_docker(lines)):
            return lines
        return b"".join(map(self._line, lines.splitlines(keepends=True)))

    def _line(self, line: bytes) -> bytes:
        if (cri := _LINE.match(line)) is not None:
            front, text = cri["whose"] + cri["front"] + b"F ", line[cri.end() :].rstrip(b"\r\n")
            return self._joined(line, cri["whose"] + cri["stream"], (front, text, b""), is_piece=cri["tag"] == b"P")
        if (self._open or len(line) > _DOCKER_CUTS) and (docker := _OF_DOCKER.match(line)) is not None:
            is_piece = len(line) > _DOCKER_CUTS and not docker["text"].endswith(b"\\n")
            parts = (docker["whose"] + b'{"log":"', docker["text"], b'"' + docker["rest"])
            return self._joined(line, docker["whose"] + b"{" + docker["stream"], parts, is_piece=is_piece)
        return line

    def _joined(self, line: bytes, key: bytes, parts: tuple[bytes, bytes, bytes], *, is_piece: bool) -> bytes:
        """A joined line with the text in front and behind, or nothing yet."""
        front, text, behind = parts
        end = b"\n" if line.endswith(b"\n") else b""
        before = self._open.pop(key, None)
        if is_piece:
            if len(self._open) >= MOST:
                del self._open[next(iter(self._open))]
            self._open[key] = (before or b"") + text[: max(0, LONGEST - len(before or b""))]
            return end
        return line if before is None else front + before + text + behind + end
