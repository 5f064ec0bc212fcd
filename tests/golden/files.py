"""Golden files: what users and their programs see, kept as it was, so that a change of it is looked at.

`make golden` rewrites them; the difference is then reviewed and committed with the change that makes it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data"
UPDATE = os.environ.get("LABCTL_TEST_GOLDEN") == "write"
_ADVICE = "If this change is wanted, run `make golden` and commit what it writes."


def must_be_golden(name: str, seen: str) -> None:
    """Compare SEEN with the golden file NAME, such as `help/up.txt`; or write it, as `make golden` does."""
    file = FOLDER / name
    if UPDATE:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    assert file.exists(), f"There is no golden file {name}. {_ADVICE}"
    assert seen == file.read_text(encoding="utf-8"), f"{name} is not what it was. {_ADVICE}"


def must_be_only(folder: str, names: set[str]) -> None:
    """The golden files of a FOLDER are these and no others: a missing one is noticed, too."""
    there = {path.name: path for path in (FOLDER / folder).iterdir()}
    if UPDATE:
        for name in set(there) - names:
            there.pop(name).unlink()
    assert set(there) == names, f"{folder} has other files than what is compared with them. {_ADVICE}"


def must_have_golden_shape(name: str, document: Any) -> None:
    """Compare the keys and types of a JSON document with the golden file NAME, such as `json/up.json`.

    What was null, or a list without items, when the golden file was written, may be anything, and the other way round.
    """
    file = FOLDER / name
    seen = shape(document)
    if UPDATE and file.exists():
        # Two runs may differ in what is null: what either of them has is kept.
        before = json.loads(file.read_text(encoding="utf-8"))
        seen = merged([before, seen]) if _fits(seen, before) else seen
    if UPDATE:
        must_be_golden(name, as_json(seen))
    assert file.exists(), f"There is no golden file {name}. {_ADVICE}"
    golden = json.loads(file.read_text(encoding="utf-8"))
    assert _fits(seen, golden), f"{name} has another shape:\n{as_json(seen)}\nIt was:\n{as_json(golden)}\n{_ADVICE}"


def shape(value: Any) -> Any:
    """A JSON document's keys and types: `{"seconds": "number"}`. All items of a list have one shape."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in sorted(value.items())}
    if isinstance(value, list):
        return [merged([shape(item) for item in value])] if value else []
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def merged(shapes: list[Any]) -> Any:
    """One shape for several values; where they are of different types, all of them."""
    known = [shape_ for shape_ in shapes if shape_ != "null"]
    if not known:
        return "null"
    if all(isinstance(shape_, dict) for shape_ in known):
        keys = sorted({key for shape_ in known for key in shape_})
        return {key: merged([shape_[key] for shape_ in known if key in shape_]) for key in keys}
    if all(isinstance(shape_, list) for shape_ in known):
        items = [item for shape_ in known for item in shape_]
        return [merged(items)] if items else []
    texts = sorted({json.dumps(shape_, sort_keys=True) for shape_ in known})
    return json.loads(texts[0]) if len(texts) == 1 else {"any of": [json.loads(text) for text in texts]}


def _fits(seen: Any, golden: Any) -> bool:
    if "null" in (seen, golden):
        return True
    if isinstance(golden, dict) and "any of" in golden:
        return any(_fits(seen, golden_shape) for golden_shape in golden["any of"])
    if isinstance(seen, dict) and isinstance(golden, dict):
        return seen.keys() == golden.keys() and all(_fits(seen[key], golden[key]) for key in golden)
    if isinstance(seen, list) and isinstance(golden, list):
        return not seen or not golden or _fits(seen[0], golden[0])
    return bool(seen == golden)


def as_json(value: Any) -> str:
    """JSON in the format of the golden files."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
