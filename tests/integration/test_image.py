"""The image from every source, against the real thing: real Docker, real Debian, a real registry, real HTTPS."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.image_play import ROOT, Outcome, Play, descendants, docker, inspect, remove_images
from tests.integration.image_servers import ReleaseSite, registry, release_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = f"labctl-image-test-{secrets.token_hex(3)}"
# What Debian 11 has.
VERSION = "1.8.7"
OTHER = "1.99.0"


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Whatever happens, no image of ours outlives the tests."""
    try:
        yield
    finally:
        remove_images(PREFIX)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Play, Outcome]:
    """A name whose image was made with no source named, where Debian alone is in reach, and what that said."""
    play = Play(f"{PREFIX}/shared", tmp_path_factory.mktemp("shared"))
    return play, play.run()


@pytest.fixture(scope="session")
def shared(first: tuple[Play, Outcome]) -> Play:
    """A name whose image of Debian's Consul is there already; tests only look at it."""
    play, done = first
    assert done.code == 0, done.tasks
    return play


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """A name without any image, and nothing left of it afterwards."""
    name = f"{PREFIX}/t{secrets.token_hex(4)}"
    play = Play(name, tmp_path)
    try:
        yield play
    finally:
        left = play.left()
        remove_images(name)
    assert left == []


@pytest.fixture(scope="session")
def base(shared: Play) -> str:
    """An image to build on, so that only one test waits for mmdebstrap."""
    return f"{shared.name}:{VERSION}"


@pytest.fixture(scope="session")
def binary(base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real consul binary: Debian's."""
    target = tmp_path_factory.mktemp("a binary's $HOME; `id`") / "consul"
    container = docker("container", "create", base).strip()
    try:
        docker("cp", f"{container}:/usr/bin/consul", str(target))
    finally:
        docker("container", "rm", container)
    return target


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        try:
            yield address
        finally:
            # What was pulled by its digest has no tag: a failed test would leave it.
            listed = docker("image", "ls", "--format", "{{.Repository}} {{.ID}}").splitlines()
            for image in listed:
                if image.startswith(address):
                    docker("image", "rm", "--force", image.split()[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ReleaseSite]:
    folder = tmp_path / "site"
    folder.mkdir()
    with release_site(folder) as release:
        yield release


@pytest.fixture
def small_disk(play: Play) -> Iterator[Path]:
    """A disk of 48 MB under the temporary directory."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", "size=48m,mode=1777", "tmpfs", str(play.tmp)], check=True)
    try:
        yield play.tmp
    finally:
        subprocess.run([*sudo, "umount", str(play.tmp)], check=True)


@contextmanager
def publishing(reference: str, dockerfile: str) -> Iterator[str]:
    """Push an image to a registry, forget it here, and yield its digest."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", reference, "-"],
        input=dockerfile.encode(), env=environment, check=True, capture_output=True,
    )  # fmt: skip
    try:
        docker("push", "--quiet", reference)
        digest = inspect(reference)["RepoDigests"][0].partition("@")[2]
    finally:
        docker("image", "rm", reference)
    yield digest


def hardened(image: str, *command: str) -> str:
    """Run a program in the image the way a server of a lab runs."""
    limits = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    return docker("run", *limits, "--entrypoint", command[0], image, *command[1:])


def is_ours(image: str, source: str) -> None:
    """Assert what every image has, whatever its source."""
    document = inspect(image)
    labels = document["Config"]["Labels"]
    assert labels["raft-labctl.consul-version"] == VERSION
    assert labels["raft-labctl.image-source"] == source
    assert labels["raft-labctl.image-layout"] == "1"
    assert labels["raft-labctl.image-tools"] == "ip nc nft"
    assert labels["org.opencontainers.image.version"] == VERSION
    assert document["Config"]["User"] == "8500:8500"
    assert document["Config"]["Entrypoint"] == ["consul"]
    assert not document["Config"].get("Volumes")
    assert docker("run", "--rm", "--network", "none", image, "version").startswith(f"Consul v{VERSION}\n")
    asked = ("stat -c '%a %u:%g' /consul/data", "stat -c %a /consul/config", "id", "nft --version", "ip -V", "nc -h")
    answers = hardened(image, "sh", "-c", "".join(f"{{ {command}; }} 2>&1 | head -n 1; " for command in asked))
    data, config, user, nft, ip, nc = answers.splitlines()
    assert data == "700 8500:8500"
    assert config == "755"
    assert user.startswith("uid=8500(consul) gid=8500(consul)")
    assert nft.startswith("nftables v")
    assert ip.startswith("ip utility, iproute2")
    assert nc.startswith("OpenBSD netcat")


# --- Debian, and an image that is there


def test_the_image_of_debian_is_ours(shared: Play) -> None:
    is_ours(f"{shared.name}:{VERSION}", "debian")
    assert shared.images() == [f"{shared.name}:{VERSION}"]
    assert shared.left() == []


def test_an_image_that_is_there_is_taken_without_any_source(shared: Play) -> None:
    done = shared.run(debian_mirror="http://127.0.0.1:1", version=f"v{VERSION}")
    assert done.code == 0
    assert done.stats["changed"] == 0
    assert done.image == {
        "id": inspect(f"{shared.name}:{VERSION}")["Id"],
        "name": f"{shared.name}:{VERSION}",
        "version": VERSION,
        "source": "debian",
        "built": False,
    }


def test_a_known_image_leaves_nothing_to_do(play: Play) -> None:
    done = play.run(id="sha256:" + "0" * 64, consul_version=VERSION)
    assert done.code == 0
    did = [name for name, result in done.tasks if not result.get("skipped") and "Validating" not in name]
    assert did == ["Ensure the image exists"]


def test_two_builds_have_the_same_bytes_and_the_older_one_goes(shared: Play, play: Play) -> None:
    first = inspect(f"{shared.name}:{VERSION}")
    docker("image", "tag", first["Id"], f"{play.name}:{VERSION}")
    assert play.run(source="debian").image["built"] is False
    done = play.run(source="debian", force=True)
    assert done.image["built"] is True
    assert done.image["id"] != first["Id"]
    assert inspect(done.image["id"])["RootFS"]["Layers"] == first["RootFS"]["Layers"]
    assert play.images() == [f"{play.name}:{VERSION}"]


def test_check_mode_predicts_and_makes_nothing(play: Play) -> None:
    done = play.run("--check", "--diff", source="debian", version=VERSION)
    assert done.code == 0
    assert done.stats["changed"] == 1
    assert done.image == {
        "id": "", "name": f"{play.name}:{VERSION}", "version": VERSION, "source": "debian", "built": True,
    }  # fmt: skip
    (diff,) = [result["diff"] for _, result in done.tasks if result.get("diff")]
    assert diff["after"] == {"name": f"{play.name}:{VERSION}", "version": VERSION, "source": "debian"}
    assert play.images() == []


def test_an_image_from_another_source_is_not_taken_for_one_that_is_named(shared: Play) -> None:
    done = shared.run(source="registry")
    assert done.sentence.startswith("The image 127.0.0.1:1/consul:1.21.4 could not be pulled (")
    assert done.sentence.endswith("is the registry in reach, and does it have that image?")
    assert shared.images() == [f"{shared.name}:{VERSION}"]


# --- the sources in their order


def test_auto_goes_on_to_debian_where_the_internet_is_out_of_reach(first: tuple[Play, Outcome]) -> None:
    play, done = first
    assert done.code == 0, done.tasks
    assert done.image["source"] == "debian"
    assert done.image["built"] is True
    again = play.run()
    assert (again.image["built"], again.stats["changed"]) == (False, 0)
    assert again.image["id"] == done.image["id"]


def test_auto_says_what_each_source_said(play: Play) -> None:
    done = play.run(debian_mirror="http://127.0.0.1:1", version=OTHER)
    assert done.code != 0
    assert done.sentence.startswith(f"No source gave an image of Consul {OTHER}: ")
    assert f"The image 127.0.0.1:1/consul:{OTHER} could not be pulled" in done.sentence
    assert f"https://127.0.0.1:1/{OTHER}/consul_{OTHER}_SHA256SUMS is out of reach" in done.sentence
    assert "Debian's archive did not give bullseye to mmdebstrap" in done.sentence
    assert play.images() == []


def test_auto_takes_the_binary_that_was_named_before_debian(play: Play, base: str, binary: Path) -> None:
    done = play.run(binary=str(binary), base=base, debian_mirror="http://127.0.0.1:1")
    assert done.image["source"] == "binary"


@pytest.mark.parametrize("version", ["1.21", "1.21.4; id"])
def test_what_is_no_version_is_refused_before_anything_is_tried(play: Play, version: str) -> None:
    done = play.run(version=version)
    assert done.failure["failure"] == "usage"
    assert "is not a version of Consul" in done.sentence


# --- a binary


def test_a_binary_goes_onto_debians_packages(play: Play, binary: Path) -> None:
    done = play.run(source="binary", binary=str(binary))
    assert done.code == 0, done.tasks
    is_ours(done.image["name"], "binary")
    assert play.run(source="binary", binary=str(binary)).image["built"] is False


def test_another_binary_of_the_same_version_makes_another_image(
    play: Play, base: str, binary: Path, tmp_path: Path
) -> None:
    first = play.run(source="binary", binary=str(binary), base=base)
    is_ours(first.image["name"], "binary")
    other = tmp_path / "consul"
    other.write_bytes(binary.read_bytes() + b"\0")
    second = play.run(source="binary", binary=str(other), base=base)
    assert second.image["built"] is True
    assert second.image["id"] != first.image["id"]
    assert play.images() == [f"{play.name}:{VERSION}"]


def test_a_version_that_the_binary_has_not_is_refused(play: Play, base: str, binary: Path) -> None:
    done = play.run(source="binary", binary=str(binary), base=base, version=OTHER)
    assert done.sentence == (
        f"Source binary has Consul {VERSION}, and {OTHER} was asked for: ask for {VERSION}, or take another source."
    )
    assert play.images() == []


def _text(folder: Path, _: Path) -> Path:
    (folder / "consul").write_text("#!/bin/sh\necho Consul v1.8.7\n", encoding="utf-8")
    (folder / "consul").chmod(0o755)
    return folder / "consul"


def _missing(folder: Path, _: Path) -> Path:
    return folder / "nowhere"


def _other_machine(folder: Path, binary: Path) -> Path:
    content = bytearray(binary.read_bytes()[:64])
    content[18] = 0xB7 if content[18] == 0x3E else 0x3E
    (folder / "consul").write_bytes(content)
    return folder / "consul"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text, "is not a program (it has no ELF header)"),
        (_missing, "cannot be read (No such file or directory)"),
        (_other_machine, "and this Docker host is "),
    ],
)
def test_what_is_no_binary_for_this_host_is_refused(
    play: Play, tmp_path: Path, binary: Path, make: Callable[[Path, Path], Path], words: str
) -> None:
    done = play.run(source="binary", binary=str(make(tmp_path, binary)))
    assert words in done.sentence
    assert done.failure["failure"] == "usage"
    assert play.images() == []


def test_a_program_that_is_not_consul_is_refused(play: Play, base: str) -> None:
    program = shutil.which("true")
    assert program is not None
    done = play.run(source="binary", binary=str(Path(program).resolve()), base=base)
    assert done.sentence.startswith("The program of source binary said no version but: ")
    assert play.images() == []


def test_a_base_without_nft_gets_it_from_its_own_packages(play: Play, binary: Path, tmp_path: Path) -> None:
    """The way of a Docker host that is not Debian: an ordinary image, its apt-get, and our Dockerfile."""
    tar = tmp_path / "base.tar"
    words = ["mmdebstrap", "--quiet", "--variant=apt", "bullseye", str(tar), _own_mirror()]
    subprocess.run(words, check=True, capture_output=True)
    ordinary = f"{PREFIX}/ordinary:1"
    docker("import", str(tar), ordinary)
    assert docker("run", "--rm", ordinary, "sh", "-c", "command -v nft ip nc || echo none").strip() == "none"
    done = play.run(source="binary", binary=str(binary), base=ordinary)
    assert done.code == 0, done.tasks
    is_ours(done.image["name"], "binary")


def _own_mirror() -> str:
    """Return the machine's own Debian mirror."""
    form = "$(COMPONENT) $(REPO_URI)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return next(line.split()[1] for line in listed if line.rstrip("/").endswith("/debian"))


@pytest.mark.parametrize("loses", ["rm /usr/sbin/nft", "ln -sf busybox /bin/nc"])
def test_a_base_that_cannot_get_a_tool_is_refused_with_the_builders_words(
    play: Play, base: str, binary: Path, loses: str
) -> None:
    bare = f"{PREFIX}/bare:1"
    dockerfile = f"FROM {base}\nUSER root\nRUN {loses}\n"
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    words = ["docker", "build", "--quiet", "--tag", bare, "-"]
    subprocess.run(words, input=dockerfile.encode(), env=environment, check=True, capture_output=True)
    done = play.run(source="binary", binary=str(binary), base=bare)
    assert (
        "the base image lacks nft, ip or OpenBSD's nc, and has neither apk nor apt-get to install them" in done.sentence
    )
    assert play.images() == []


# --- a registry


def test_an_image_of_a_registry_is_made_into_ours(play: Play, base: str, registry_host: str) -> None:
    """Like HashiCorp's: the user consul has another number, /consul/data is a volume, the entry point a script."""
    foreign = (
        f"FROM {base}\nUSER root\n"
        "RUN sed -i 's/^consul:x:8500:8500/consul:x:100:1000/' /etc/passwd && chown -R 100:1000 /consul && "
        "chmod 755 /consul/data && mv /usr/bin/consul /bin/consul\n"
        'VOLUME /consul/data\nENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["agent"]\n'
    )
    reference = f"{registry_host}/hashicorp/consul:{VERSION}"
    with publishing(reference, foreign) as digest:
        host = {"source": "registry", "registry": f"{registry_host}/hashicorp/consul"}
        done = play.run(**host, version=VERSION)
        assert done.code == 0, done.tasks
        is_ours(done.image["name"], "registry")
        assert reference not in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        assert play.run(**host, version=VERSION).stats["changed"] == 0

        pinned = play.run(**host, registry_digest=digest)
        assert pinned.image["built"] is True
        assert inspect(pinned.image["name"])["Config"]["Labels"]["raft-labctl.image-origin"] == digest
        assert play.run(**host, registry_digest=digest).image["built"] is False

        refused = play.run(**host, registry_digest="sha256:" + "0" * 64)
        assert "could not be pulled" in refused.sentence
        assert play.images() == [f"{play.name}:{VERSION}"]


def test_a_registry_whose_tag_lies_about_the_version_is_refused(play: Play, base: str, registry_host: str) -> None:
    reference = f"{registry_host}/liar/consul:{OTHER}"
    with publishing(reference, f"FROM {base}\n"):
        done = play.run(source="registry", registry=f"{registry_host}/liar/consul", version=OTHER)
    assert done.sentence.startswith(f"Source registry has Consul {VERSION}, and {OTHER} was asked for: ")
    assert play.images() == []
    assert "/liar/" not in docker("image", "ls", "--format", "{{.Repository}}")


# --- a release


def test_a_release_is_verified_and_made_into_an_image(play: Play, base: str, binary: Path, site: ReleaseSite) -> None:
    site.publish(VERSION, binary)
    done = play.run(
        source="release", release_url=site.url, release_ca_file=str(site.ca), default_version=VERSION, base=base
    )
    assert done.code == 0, done.tasks
    is_ours(done.image["name"], "release")


def _wrong_sum(site: ReleaseSite, archive: Path) -> None:
    site.sign(VERSION, archive)
    with archive.open("ab") as file:
        file.write(b"one more")


def _no_zip(_: ReleaseSite, archive: Path) -> None:
    archive.unlink()


def _truncated(site: ReleaseSite, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-1000])
    site.sign(VERSION, archive)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_wrong_sum, "it was damaged or replaced, and is not used"),
        (_no_zip, "_linux_amd64.zip answered 404"),
        (_truncated, "is not a whole zip with a file consul in it"),
    ],
)
def test_a_spoilt_release_is_refused(  # noqa: PLR0913, PLR0917 - fixtures and a table
    play: Play, base: str, binary: Path, site: ReleaseSite, spoil: Callable[[ReleaseSite, Path], None], words: str
) -> None:
    spoil(site, site.publish(VERSION, binary))
    done = play.run(source="release", release_url=site.url, release_ca_file=str(site.ca), version=VERSION, base=base)
    assert words in done.sentence
    assert play.images() == []


def test_a_download_that_ends_early_is_refused(play: Play, base: str, binary: Path, site: ReleaseSite) -> None:
    site.publish(VERSION, binary)
    url = f"{site.url}/short"
    done = play.run(source="release", release_url=url, release_ca_file=str(site.ca), version=VERSION, base=base)
    assert "ended after 1000 of " in done.sentence
    assert play.images() == []


def test_a_server_that_nobody_vouches_for_is_refused(play: Play, base: str, binary: Path, site: ReleaseSite) -> None:
    site.publish(VERSION, binary)
    done = play.run(source="release", release_url=site.url, version=VERSION, base=base)
    assert "is out of reach" in done.sentence
    assert "certificate" in done.sentence.lower()


# --- a full disk, and runs that end in the middle


@pytest.mark.parametrize("source", ["debian", "binary"])
def test_a_full_disk_is_one_sentence_and_nothing_is_left(
    play: Play, binary: Path, small_disk: Path, source: str
) -> None:
    done = play.run(source=source, binary=str(binary))
    assert done.sentence.startswith(f"There is no space left in {small_disk} to make the image in")
    assert list(small_disk.iterdir()) == []
    assert play.images() == []


def _at(play: Play, moment: str, process: subprocess.Popen[str]) -> None:
    """Wait until the run has come to MOMENT."""
    if moment == "looking":
        _wait_for_the_check(play)
        return
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(play.tmp.glob("*/mmdebstrap/*/usr")):
            return
        time.sleep(0.02)
    pytest.fail(f"the run never came to {moment}: {process.communicate()}")


def _wait_for_the_check(play: Play) -> None:
    """Wait for the container that looks into a candidate."""
    words = ["docker", "events", "--filter", "type=container", "--filter", "event=create"]
    words += ["--format", "{{json .Actor.Attributes}}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        timer = threading.Timer(120, events.kill)
        timer.start()
        seen = any(f"candidate of {os.uname().nodename} {play.tmp}/" in line for line in events.stdout)
        timer.cancel()
        events.kill()
    assert seen, "no candidate was looked at"


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _started(play: Play, moment: str, base: str, binary: Path) -> subprocess.Popen[str]:
    """Start a run that comes to MOMENT, and wait until it is there. Every source's candidate is looked into."""
    onto = {"consul_image_source": "binary", "consul_image_binary": str(binary), "consul_image_base": base}
    process = play.start({"consul_image_source": "debian"} if moment == "unpacking" else onto)
    _at(play, moment, process)
    return process


@pytest.mark.parametrize("moment", ["unpacking", "looking"])
def test_an_interrupted_run_leaves_nothing(play: Play, base: str, binary: Path, moment: str) -> None:
    process = _started(play, moment, base, binary)
    pids = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(_runs(pid) for pid in pids):
        time.sleep(0.05)
    assert [pid for pid in pids if _runs(pid)] == []
    assert play.left() == []
    assert all(":candidate-" not in image for image in play.images())


@pytest.mark.parametrize("moment", ["unpacking", "looking"])
def test_the_run_after_a_killed_one_removes_what_it_left(play: Play, base: str, binary: Path, moment: str) -> None:
    process = _started(play, moment, base, binary)
    for pid in descendants(process.pid):
        # Some live for a moment only.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert play.left() != []
    done = play.run(source="binary", binary=str(binary), base=base)
    assert done.code == 0, done.tasks
    assert play.left() == []
    assert play.images() == [f"{play.name}:{VERSION}"]


def test_two_runs_at_once_wait_for_each_other(play: Play, base: str, binary: Path) -> None:
    words: dict[str, Any] = {
        "consul_image_source": "binary", "consul_image_binary": str(binary), "consul_image_base": base,
    }  # fmt: skip
    processes = [play.start(words) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, f"{out}\n{err}"
    assert play.images() == [f"{play.name}:{VERSION}"]


def test_the_playbook_names_the_labs() -> None:
    text = (ROOT / "playbooks/image.yml").read_text(encoding="utf-8")
    assert "else 'labs'" in text
    assert "tags: [image]" in text
