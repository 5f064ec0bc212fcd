"""Install pip from Python's own copy, and then what the arguments name: as the online script of that name does."""

from __future__ import annotations

import ensurepip
import os
import runpy
import sys

if __name__ == "__main__":
    ensurepip.bootstrap()
    # That installation has hidden pip's settings from itself.
    os.environ.pop("PIP_CONFIG_FILE", None)
    # These two are options of that script, and not of pip.
    words = [word for word in sys.argv[1:] if word not in {"--no-setuptools", "--no-wheel"}]
    sys.argv = ["pip", "install", *words]
    runpy.run_module("pip", run_name="__main__")
