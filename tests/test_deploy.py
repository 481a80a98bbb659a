"""The systemd unit and the script of docs/deploy.md."""

import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

from app.cli import STOP_SECONDS
from app.settings import Settings
from tests.test_documentation import commands, page


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", page("deploy.md"), re.DOTALL)
    return str(found)


def test_the_unit_starts_the_server_and_waits_for_its_end(tmp_path: Path) -> None:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read_string(block("ini"))
    service = unit["Service"]
    python, *words = shlex.split(service["ExecStart"])
    assert python.startswith(service["WorkingDirectory"])
    assert words[:3] == ["-m", "app", "serve"]
    known = {option for parameter in commands()["serve"].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} - {"-m"} <= known
    assert int(service["TimeoutStopSec"]) > STOP_SECONDS + 2
    assert f". {service['EnvironmentFile']}" in block("sh")
    given = set(re.findall(r"^    RECORD_([A-Z_]+)=", page("deploy.md"), re.MULTILINE))
    assert {name.lower() for name in given} <= Settings.model_fields.keys()
    if shutil.which("systemd-analyze"):
        here = block("ini").replace(python, shutil.which("true") or "").replace("/srv/record", str(tmp_path))
        (tmp_path / "record@8001.service").write_text(here.replace("User=record", "User=root"))
        verify = ["systemd-analyze", "verify", str(tmp_path / "record@8001.service")]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_its_instances_are_the_servers_of_the_documented_proxy() -> None:
    started = set(re.findall(r"record@(\d+)", page("deploy.md")))
    proxied = set(re.findall(r"server 127\.0\.0\.1:(\d+);", page("scaling.md")))
    assert started == proxied
