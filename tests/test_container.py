"""The container image and the stack: built and run where there is an engine; and in any case carried out step
by step, from a fresh directory and an environment of its own, on a real PostgreSQL.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.base import schema
from tests.container import GIVEN, Image, StackDatabase, compose, in_order, instructions, sent
from tests.postgres import free_port


def on_loopback(command: Sequence[str], port: int) -> list[str]:
    """A command that listens or asks, at a port that is free here."""
    return [re.sub(r"\b8000\b", str(port), word.replace("0.0.0.0", "127.0.0.1")) for word in command]


@contextmanager
def image() -> Iterator[Image]:
    """The image, in a directory that its user can enter."""
    root = Path(tempfile.mkdtemp(prefix="record-image-"))
    try:
        root.chmod(0o755)
        made = Image(root)
        made.build()
        yield made
    finally:
        shutil.rmtree(root)


def listens(port: int) -> bool:
    """Return whether a port is open: to ask for the health of what is not there takes a process each time."""
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def running(
    made: Image, command: Sequence[str], health: Sequence[str], variables: Mapping[str, str], log: Path
) -> Iterator[httpx.Client]:
    """A server of the image, once its own health check says so; it must end when it is told to."""
    port = free_port()
    process = made.start(on_loopback(command, port), variables, log)
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        while made.start(on_loopback(health, port), variables, log).wait() != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def database(postgres: str, tmp_path: Path) -> Iterator[StackDatabase]:
    with StackDatabase(postgres, tmp_path) as made:
        yield made


def test_the_image_and_the_stack_run_step_by_step(database: StackDatabase, tmp_path: Path) -> None:
    with image() as made:
        with running(made, made.command, made.health, {}, tmp_path / "alone") as client:
            assert client.get("/readyz").json() == {"status": "ready"}
            assert client.get("/v1/claims").json() == {"data": [], "next_cursor": None}
            assert "Guides in reading order" in client.get("/guide").text
        assert (made.root / "data" / "record.db").stat().st_uid == (made.user or os.geteuid())
        run_stack(made, database, tmp_path)


def run_stack(made: Image, database: StackDatabase, tmp_path: Path) -> None:
    services = compose(GIVEN)["services"]
    started = [name for name in in_order(services) if "profiles" not in services[name]]
    assert started == ["db", "migrate", "api"]
    for name in started[1:]:
        service, log = services[name], tmp_path / name
        variables = database.variables(service)
        if service["restart"] == "no":
            assert made.start(service["command"], variables, log).wait() == 0, log.read_text()
            continue
        assert "healthcheck" not in service, "the image has it"
        with running(made, service["command"], made.health, variables, log) as client:
            assert client.get("/readyz").json() == {"status": "ready"}
            assert client.get("/v1/claims").json() == {"data": [], "next_cursor": None}


def test_what_is_sent_to_the_build_is_what_it_copies() -> None:
    said = [*instructions((schema.ROOT / "Dockerfile").read_text())]
    copied = {
        path for name, rest in said if name == "COPY" and "--from" not in rest for path in rest.split()[:-1]
    }
    assert {path.name for path in schema.ROOT.iterdir() if sent(path.name)} == copied
    assert not sent(".env")
    assert not sent("record.db")
    assert not sent("tests")


def test_the_stack_asks_for_what_the_example_tells_of() -> None:
    example = set(re.findall(r"^#?([A-Z_]+)=", (schema.ROOT / ".env.example").read_text(), re.MULTILINE))
    asked = set(re.findall(r"\$\{(\w+)", (schema.ROOT / "docker-compose.yml").read_text()))
    assert asked == example
    with pytest.raises(KeyError):
        compose({})


def test_the_documented_commands_name_services_of_the_stack() -> None:
    page = (schema.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    options = r"(?: (?:--\S+|-T))*"
    said = re.findall(rf"docker compose (run|stop|exec|up){options}(?: (\w+))?", page)
    services = compose(GIVEN)["services"]
    assert {name for _, name in said if name} == {"backup", "restore", "migrate", "api", "db"} == {*services}
    [mounted] = [each.split(":")[1] for each in services["db"]["volumes"] if each.startswith("./")]
    assert f"--file={mounted}\n" in page


# --- with an engine ----------------------------------------------------------------------------


def engine() -> list[str]:
    """The container engine that is running here; the test is skipped if there is none."""
    reasons = []
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
            continue
        done = subprocess.run([name, "info"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return [name]
        reasons.append(f"{name}: {(done.stderr.strip().splitlines() or ['does not answer'])[-1]}")
    pytest.skip("; ".join(reasons))


def call(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=schema.ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def at_hand(run: Sequence[str]) -> None:
    """Skip the test if an image would have to be fetched."""
    named = re.findall(r"^FROM (\S+)", (schema.ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for image in {*named, compose(GIVEN)["services"]["db"]["image"]}:
        if subprocess.run([*run, "image", "inspect", image], capture_output=True, check=False).returncode:
            pytest.skip(f"{image} is not at hand: {run[0]} pull {image}")


def composer(run: Sequence[str]) -> list[str]:
    """The command for Compose: the plugin, or the program from before it."""
    for command in ([*run, "compose"], [f"{run[0]}-compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip(f"{run[0]} has no compose")


def until_ready(client: httpx.Client) -> None:
    """Wait for the API. `up --wait` is not known to every version of Compose."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(1)
    raise AssertionError("the API is not ready")


def test_an_engine_builds_the_image_and_runs_the_stack() -> None:
    run = engine()
    at_hand(run)
    port = str(free_port())
    stack = [*composer(run), "--project-name", f"record-test-{port}"]
    given = {"PUBLISH_PORT": port, "RECORD_VERSION": f"test-{port}", **GIVEN}
    try:
        call(*stack, "build", **given)
        call(*stack, "up", "--detach", **given)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            until_ready(client)
            api = call(*stack, "ps", "-q", "api", **given).strip()
            lives_on(run, stack, api, client, given)
        said = call(*run, "inspect", "--format", "{{json .Config.Healthcheck}} {{.HostConfig.Memory}}", api)
        assert "http.client" in said
        assert said.split()[-1] == str(1024**3)
    finally:
        call(*stack, "down", "--volumes", **given)
        subprocess.run([*run, "image", "rm", f"on-the-record:test-{port}"], capture_output=True, check=False)


def lives_on(
    run: list[str], stack: list[str], api: str, client: httpx.Client, given: Mapping[str, str]
) -> None:
    """A key is made and writes; what is acknowledged outlives the end of the API, and of the database."""
    made = call(*run, "exec", api, "python", "-m", "app", "key", "create", "Desk", "--role", "editor")
    client.headers["Authorization"] = f"Bearer {made.split()[-1]}"
    kept = []
    for stop in ("api", "db"):
        name = f"Before the end of {stop}"
        answer = client.post("/v1/entities", json={"kind": "organization", "name": name})
        assert answer.status_code == 201, answer.text
        kept.append(answer.json()["id"])
        call(*stack, "kill", "-s", "KILL", stop, **given)
        call(*stack, "up", "--detach", **given)
        until_ready(client)
        for each in kept:
            assert client.get(f"/v1/entities/{each}").status_code == 200
    done = call(*run, "exec", api, "python", "-m", "app", "doctor", "--json")
    found = {each["check"]: each["state"] for each in json.loads(done)}
    assert found["temporary"] == "ok"
