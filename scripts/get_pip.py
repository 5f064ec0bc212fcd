"""Install pip from what Python brings itself, and then what the words say: what the script of that name does online."""

from __future__ import annotations

import ensurepip
import os
import runpy
import sys

if __name__ == "__main__":
    ensurepip.bootstrap()
    # It has hidden the settings of pip from itself.
    os.environ.pop("PIP_CONFIG_FILE", None)
    # These two are options of that script, and not of pip.
    words = [word for word in sys.argv[1:] if word not in {"--no-setuptools", "--no-wheel"}]
    sys.argv = ["pip", "install", *words]
    runpy.run_module("pip", run_name="__main__")
