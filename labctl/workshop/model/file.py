"""Read `workshop.yml`: an error in it is reported as one sentence with its line."""

from __future__ import annotations

import difflib
import json
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labctl import files
from labctl.errors import ExitCode, LabctlError
from labctl.shared.lab_spec import SETTINGS, LabSpec
from labctl.workshop.model import network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from ipaddress import IPv4Network

SCHEMA = Path(__file__).with_name("workshop.schema.json")
LOCAL = "local"
LONGEST_SHOWN = 60
# A thousand named seats and a hundred Docker hosts take a tenth of both.
LONGEST_FILE = 1 << 20
LONGEST_NUMBER = 80
"""Digits, signs and underscores; 64 bits in base 2 have fewer."""
_COUNTED = ("int", "float")
MOST_VALUES = 20_000
DEEPEST = 10
# Groups of the inventory, and the prefix of the groups of single Docker hosts: Ansible would take a host of such a
# name for the whole group.
_GROUPS = ("all", "ungrouped", "labs", "docker_hosts", "image_hosts")
_GROUP_OF_ONE = "on_"


@dataclass(frozen=True)
class Host:
    """A Docker host as the file has it; None where SSH's own configuration decides.

    `most` is how many seats may be placed on it, None for as many as fit.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    most: int | None = None

    @property
    def local(self) -> bool:
        """Whether it is this machine's."""
        return self.address == LOCAL


@dataclass(frozen=True)
class Workshop:
    """A workshop as its file describes it, complete: missing settings have their defaults.

    `names` are the seats' names, or None where the file gives only their number. `spec` is the specification of each
    seat's lab, except for its port. `expires` is as written.
    """

    name: str
    seats: int
    names: tuple[str, ...] | None
    hosts: tuple[Host, ...]
    spec: LabSpec
    image_source: str
    expires: str | None
    network: IPv4Network
    http_port: int


def read(path: Path, patience: float = files.WRITER_SECONDS) -> Workshop:
    """Read a workshop's file. Raises LabctlError (usage) with one sentence."""
    try:
        given = files.read_all(path, LONGEST_FILE + 1, patience)
        if len(given) > LONGEST_FILE:
            raise LabctlError(
                f"The workshop's file {path} is larger than a megabyte, which none is: name the right one with --file.",
                ExitCode.USAGE,
            )
        text = given.decode("utf-8")
    except FileNotFoundError:
        raise LabctlError(
            f"There is no file {path}: name the workshop's file with --file, or write one "
            "(`labctl workshop example` prints one to begin with).",
            ExitCode.USAGE,
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise LabctlError(f"The workshop's file {path} cannot be read: {reason}.", ExitCode.USAGE) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Workshop:
    """Parse a file's text; paths in it are relative to the file. Raises LabctlError (usage)."""
    try:
        return _workshop(_document(text), path.parent)
    except _WrongError as error:
        where = f"{path}, line {error.line}" if error.line else str(path)
        raise LabctlError(f"{where}: {error.sentence}", ExitCode.USAGE) from None


class _WrongError(Exception):
    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML without the surprises that a schema cannot see: duplicate keys, and times that become no text.

    It also lacks what expands without limit: aliases (240 bytes can become a gigabyte), merge keys,
    and endlessly nested values.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose the next node of the file. Raises _WrongError where a workshop cannot have it."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise _WrongError(
                f"`{sign}{_shown(event.anchor)}` is a name for a value that is used again: write the value out.",
                line,
            )
        self._values += 1
        self._depth += 1
        if self._values > MOST_VALUES:
            raise _WrongError(f"there are more than {MOST_VALUES} values, which no workshop needs.", line)
        if self._depth > DEEPEST:
            raise _WrongError("the values are nested deeper than those of a workshop.", line)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a node's value. Raises yaml.MarkedYAMLError where its form or its tag does not allow it."""
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        kind = node.tag.rpartition(":")[2]
        if kind in _COUNTED and len(text) > LONGEST_NUMBER:
            raise yaml.constructor.ConstructorError(
                problem=f"a number of {len(text)} digits", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
            raise yaml.constructor.ConstructorError(
                problem=f"`{_shown(text)}` is no {kind}", problem_mark=node.start_mark
            ) from None


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class _Document:
    """A file's content, and the line of each place in it."""

    content: Any
    lines: Mapping[tuple[str | int, ...], int]

    def line(self, place: Iterable[str | int]) -> int:
        """The line of a place, or of the nearest one around it."""
        parts = tuple(place)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 0)


def _document(text: str) -> _Document:
    loader = None
    try:
        # Text that holds what YAML does not allow is refused here already.
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise _WrongError("the file is empty: a workshop has at least `workshop: NAME` and `seats: NUMBER`.")
        lines = dict(_lines(node, ()))
        return _Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _WrongError(
            f"this is not YAML ({_shown(error.problem or error.context, 120)}).", mark.line + 1 if mark else 0
        ) from None
    except yaml.YAMLError as error:
        raise _WrongError(f"this is not YAML ({_shown(str(error).splitlines()[0], 120)}).") from None
    except RecursionError:
        raise _WrongError("this is not YAML that a workshop can have (it holds itself).") from None
    finally:
        if loader is not None:
            loader.dispose()


def _lines(node: yaml.Node, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(item, (*place, number))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _WrongError("the key of a value is a list or has keys itself, and must be text.", line)
            name = str(key.value)
            if key.tag == "tag:yaml.org,2002:merge":
                raise _WrongError("`<<` takes the keys of another value: write them out instead.", line)
            if name in seen:
                raise _WrongError(f"`{_shown(name)}` is given twice, first in line {seen[name]}: keep one.", line)
            seen[name] = line
            yield from _lines(value, (*place, name))
            yield (*place, name), line


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _workshop(document: _Document, folder: Path) -> Workshop:
    _validate(document)
    content = document.content
    seats = content["seats"]
    names = tuple(seats) if isinstance(seats, list) else None
    if names:
        _refuse_twice(document, names, "seats", "the seat")
    hosts = tuple(_host(entry, folder) for entry in content.get("hosts", [LOCAL]))
    _refuse_groups(document, hosts)
    for what, values in (("the Docker host", [host.name for host in hosts]), ("the address", _addresses(hosts))):
        _refuse_twice(document, values, "hosts", what)
    count = len(names) if names else seats
    return Workshop(
        name=content["workshop"],
        seats=count,
        names=names,
        hosts=hosts,
        spec=LabSpec(version=content.get("consul_version", "")).with_given(
            {setting.name: content.get(setting.name) for setting in SETTINGS if setting.name != "http_port"}
        ),
        image_source=content.get("image_source", "auto"),
        expires=content.get("expires"),
        network=_network(document, content["workshop"], count),
        http_port=content.get("http_port", 21000),
    )


def _addresses(hosts: Iterable[Host]) -> list[str]:
    return [f"{host.address}:{host.port}" if host.port else host.address for host in hosts]


def _host(given: str | dict[str, Any], folder: Path) -> Host:
    if isinstance(given, str):
        return Host(LOCAL, LOCAL)

    def path(key: str) -> Path | None:
        try:
            return (folder / Path(given[key]).expanduser()).absolute() if key in given else None
        except RuntimeError:
            raise _WrongError(f"the path {_shown(given[key])} names the home of a user who is not there.") from None

    return Host(
        name=given.get("name", given["address"]),
        address=given["address"],
        user=given.get("user"),
        port=given.get("port"),
        key=path("key"),
        known_hosts=path("known_hosts"),
        most=given.get("seats"),
    )


def _refuse_twice(document: _Document, values: Iterable[str], key: str, what: str) -> None:
    seen: dict[str, int] = {}
    for number, value in enumerate(values):
        line = document.line((key, number))
        if value in seen:
            raise _WrongError(f"{what} {value} is given twice, first in line {seen[value]}: keep one.", line)
        seen[value] = line


def _refuse_groups(document: _Document, hosts: Iterable[Host]) -> None:
    for number, host in enumerate(hosts):
        if host.name in _GROUPS or host.name.startswith(_GROUP_OF_ONE):
            raise _WrongError(
                f"{host.name} is the name of a Docker host, and in Ansible's inventory that of a group: "
                "give the host another `name`.",
                document.line(("hosts", number)),
            )


def _network(document: _Document, name: str, seats: int) -> IPv4Network:
    given = document.content.get("network")
    try:
        addresses = network.parse(given) if given else network.default(name)
    except ValueError as error:
        raise _WrongError(f"{error}.", document.line(["network"])) from None
    if seats > network.seats_in(addresses):
        raise _WrongError(
            f"the network {addresses} has room for {network.seats_in(addresses)} seats, and there are {seats}: "
            f"give a larger one, such as `network: 10.216.0.0/16`.",
            document.line(["network"] if given else ["seats"]),
        )
    return addresses


# -- a schema's errors, as a sentence -----------------------------------------------------------------------


def _validate(document: _Document) -> None:
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - slow to load
    from jsonschema.exceptions import relevance  # noqa: PLC0415

    _refuse_strange(document, document.content, ())
    # To JSON Schema, 12.0 is a whole number; to code that counts with it, it is not.
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = validators.extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    errors = sorted(validator(_schema()).iter_errors(document.content), key=relevance)
    if errors:
        place, sentence = _told(errors[-1])
        raise _WrongError(sentence, document.line(place))


def _refuse_strange(document: _Document, content: Any, place: tuple[str | int, ...]) -> None:
    """Refuse what a schema cannot: keys that are no text, and text that ends a line or moves the cursor."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise _WrongError(f"the key `{_shown(ascii(key))}` is no text.", document.line((*place, str(key))))
            _refuse_strange(document, value, (*place, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            _refuse_strange(document, value, (*place, number))
    elif isinstance(content, str) and any(
        unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in content
    ):
        raise _WrongError(f"{_place(place)} has a line's end or another control character in it.", document.line(place))


def _told(error: Any) -> tuple[list[str | int], str]:
    """Where an error is, and its sentence."""
    place = list(error.absolute_path)
    inner = _meant(error)
    if inner is not None:
        return _told(inner)
    where = _place(place)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        near = difflib.get_close_matches(str(unknown)[:LONGEST_SHOWN], known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"the keys are {', '.join(known)}."
        return [*place, str(unknown)], f"{where or 'a workshop'} has no key `{_shown(unknown)}`: {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        title = error.schema["properties"][missing]["title"]
        return place, f"{where or 'a workshop'} needs the key `{missing}`: {title}."
    if not where:
        return place, "a workshop is a list of keys and values, such as `workshop: raft101` and `seats: 12`."
    return place, f"{where} is {_shown(json.dumps(error.instance, default=str))}, and must be {error.schema['title']}."


def _meant(error: Any) -> Any:
    """Of several shapes that a value may have, the error within the closest one; None where none is close."""
    if error.validator != "anyOf":
        return None
    kind = "array" if isinstance(error.instance, list) else "object" if isinstance(error.instance, dict) else None
    for inner in error.context:
        schema = error.schema["anyOf"][inner.schema_path[0]]
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if kind and schema.get("type") == kind and (inner.absolute_path != error.absolute_path or kind == "object"):
            return inner
    return None


def _place(place: Iterable[str | int]) -> str:
    """A place as people write it: `hosts[2].port`; empty for the whole file."""
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return f"`{_shown(text)}`" if text else ""


def _shown(value: object, most: int = LONGEST_SHOWN) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."
