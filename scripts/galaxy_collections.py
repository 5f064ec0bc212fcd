"""Download the collections that Ansible needs into labctl's own folder; `--pin` pins those of PyPI's newest bundle."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from labctl.errors import LabctlError
from labctl.runner import galaxy_collections
from labctl.setup import collection_download


def bring() -> int:
    """Download the missing collections; prints nothing if none is missing."""
    try:
        collection_download.bring(lambda text: print(f"labctl: {text}", flush=True))
    except LabctlError as error:
        print(f"labctl: {error.sentence}", file=sys.stderr)
        return 1
    return 0


def pin() -> int:
    """Rewrite collections.json."""
    pins = galaxy_collections.pins()
    with tempfile.TemporaryDirectory() as folder:
        words = ["pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([sys.executable, "-m", *words, "--dest", folder, "ansible"], check=True)
        (wheel,) = Path(folder).glob("ansible-*.whl")
        rows = []
        for collection in pins.collections:
            files = collection_download.in_wheel(wheel, collection)
            version = json.loads(files["MANIFEST.json"])["collection_info"]["version"]
            checksum = galaxy_collections.sha256(files["MANIFEST.json"])
            rows.append({"name": collection.name, "version": version, "manifest_sha256": checksum})
    bundle = f"ansible=={wheel.name.split('-')[1]}"
    text = json.dumps({"bundle": bundle, "collections": rows}, indent=2)
    galaxy_collections.PINS.write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(pin() if sys.argv[1:] == ["--pin"] else bring())
