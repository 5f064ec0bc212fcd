"""The script that ends a workshop: it removes all of it and at last itself, with nothing but nc and a shell."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "roles" / "workshop_reaper" / "files" / "reaper.sh"
# Plays the engine: what is there are files `lab/kind/id`, whose owner is in `owners/lab`; a request is noted, a DELETE
# removes its file. So many requests as `down` says are answered with `says` only.
NC = r"""#!/bin/sh
read -r verb path rest
cat >/dev/null
echo "$verb $path" >>"$ENGINE/requests"
left=$(cat "$ENGINE/down" 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) >"$ENGINE/down"
    cat "$ENGINE/says" 2>/dev/null
    exit 1
fi
printf 'HTTP/1.0 200 OK\r\n\r\n['
kind=$(echo "$path" | cut -d/ -f2 | cut -d'?' -f1)
owner=$(echo "$path" | sed 's/.*raft-labctl.owner%3D//; s/%22.*//')
case "$verb $path" in
"GET "*workshop*)
    for lab in "$ENGINE"/labs/*; do
        [ "$(cat "$ENGINE/owners/${lab##*/}")" = "$owner" ] || continue
        [ -e "$lab" ] && [ -n "$(find "$lab" -type f)" ] && printf '{"Labels":{"raft-labctl.lab":"%s"}}' "${lab##*/}"
    done ;;
"GET "*)
    lab=$(echo "$path" | sed 's/.*raft-labctl.lab%3D//; s/%22.*//')
    [ "$(cat "$ENGINE/owners/$lab")" = "$owner" ] || lab=none
    for one in "$ENGINE/labs/$lab/$kind"/*; do
        [ -e "$one" ] || continue
        if [ "$kind" = volumes ]; then printf '{"Name":"%s"}' "${one##*/}"; else printf '{"Id":"%s"}' "${one##*/}"; fi
    done ;;
"DELETE "*)
    id=$(echo "$path" | cut -d/ -f3 | cut -d'?' -f1)
    rm -f "$ENGINE"/labs/*/"$kind/$id" ;;
esac
printf ']\n'
"""


class Engine:
    """A folder that plays the engine, and the script's run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir()
        (tools / "nc").write_text(NC)
        (tools / "nc").chmod(0o755)
        (tools / "sleep").symlink_to(shutil.which("true") or "/bin/true")
        (tools / "hostname").write_text("#!/bin/sh\necho cafe01\n")
        (tools / "hostname").chmod(0o755)
        self.env = {"PATH": f"{tools}:/usr/bin:/bin", "ENGINE": str(folder)}

    def put(self, lab: str, owner: str = "ada%20l", **parts: list[str]) -> None:
        (self.folder / "owners").mkdir(exist_ok=True)
        (self.folder / "owners" / lab).write_text(owner)
        for kind, names in parts.items():
            for name in names:
                path = self.folder / "labs" / lab / kind / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    def left(self) -> list[str]:
        return [path.name for path in (self.folder / "labs").rglob("*") if path.is_file()]

    def run(self, end: float) -> str:
        words = ["sh", str(SCRIPT), "raft101", str(int(end)), "ada%20l"]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout

    def requests(self) -> list[str]:
        return (self.folder / "requests").read_text().splitlines()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_everything_of_every_lab_goes_and_the_reaper_last(engine: Engine) -> None:
    engine.put("raft101-01", containers=["a1", "a2"], networks=["b1"], volumes=["labctl-raft101-01-consul1"])
    engine.put("raft101-02", volumes=["labctl-raft101-02-config"])
    said = engine.run(time.time() - 5)
    assert engine.left() == []
    assert "removing raft101-01" in said
    requests = engine.requests()
    assert requests[-1] == "DELETE /containers/cafe01?force=1&v=1"
    assert "DELETE /containers/a1?force=1&v=1" in requests
    first = next(number for number, one in enumerate(requests) if "/networks/b1" in one)
    assert requests.index("DELETE /containers/a2?force=1&v=1") < first


def test_labs_of_others_stay_whatever_they_say_of_themselves(engine: Engine) -> None:
    engine.put("raft101-01", containers=["a1"])
    engine.put("raft101-02", owner="bob", containers=["b1"], networks=["b2"], volumes=["b3"])
    # Of the same owner, with the workshop's label, and yet no seat of it.
    engine.put("precious", volumes=["p1"])
    engine.run(time.time() - 5)
    assert sorted(engine.left()) == ["b1", "b2", "b3", "p1"]


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        (1, ""),
        (3, ""),
        (3, "HTTP/1.0 500 Internal Server Error\r\n\r\n{}"),
        (3, 'HTTP/1.0 200 OK\r\n\r\n[{"Id":"a'),
        (3, "HTTP/1.0 200 OK\r\n\r\n"),
    ],
)
def test_an_engine_that_is_away_is_asked_again(engine: Engine, requests: int, says: str) -> None:
    (engine.folder / "down").write_text(str(requests))
    (engine.folder / "says").write_text(says, newline="")
    engine.put("raft101-01", containers=["a1"])
    engine.run(time.time() - 5)
    assert engine.left() == []
    assert engine.requests()[-1] == "DELETE /containers/cafe01?force=1&v=1"


def test_nothing_goes_before_the_end(engine: Engine) -> None:
    engine.put("raft101-01", containers=["a1"])
    words = ["sh", str(SCRIPT), "raft101", str(int(time.time()) + 600), "ada%20l"]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(words, env=engine.env, capture_output=True, timeout=0.5, check=False)
    assert engine.left() == ["a1"]
    assert not (engine.folder / "requests").exists()
