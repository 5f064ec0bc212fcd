"""What a contributor's machine and a forge run: it is there, and it is what the Makefile has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_each_target_that_a_page_names_is_in_the_makefile(page: str) -> None:
    named = re.findall(
        r"`make ([a-z-]+)[^`]*`|^make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE
    )
    targets = {target or other for target, other in named}
    assert targets
    assert targets <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_only_calls_what_anybody_can_call(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert runs
    for words in runs:
        program, *targets = words.split()
        assert program in {"make", ".ci/run"}
        assert set(targets) <= TARGETS
    # What may be slow has an end.
    assert all("timeout-minutes" in job for job in jobs.values())


def test_hooks_are_local_and_start_what_the_environment_has() -> None:
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", str(HOOKS)], check=True, cwd=ROOT)
    (repository,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system"
        assert program == "make" or Path(sys.executable).with_name(Path(program).name).exists(), program


def test_the_gate_is_lint_unit_and_smoke() -> None:
    assert "sh scripts/test.sh lint unit smoke" in MAKEFILE
    assert {"lint", "unit", "smoke"} <= TARGETS


@pytest.mark.parametrize("path", sorted((ROOT / "tests/sanity").glob("ignore-*.txt")), ids=lambda path: path.name)
def test_what_ansible_test_leaves_out_has_a_file_and_a_reason(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))
    for line in lines:
        rule, _, reason = line.partition(" # ")
        assert reason, line
        assert (ROOT / rule.split()[0]).is_file(), line
