"""Commands in the documentation can be pasted into a shell: each is read by one, and addresses are quoted.

The README's and the tutorial's are run too (`test_readme.py`), and the recipes (`test_recipes.py`).
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_documentation import PAGES

PROGRAMS = (
    "apt awk cd chmod curl docker export install make psql python python3 record sed systemctl test useradd"
    " .venv/bin/python .venv/bin/pip RECORD_DATABASE_URL"
).split()
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_ADDRESS = r"(?:https?://|\$api\b)"


def commands(text: str) -> list[str]:
    """The blocks of a page that are commands: those that say so, and indented ones that begin with one."""
    fenced = [body for language, body in _FENCED.findall(text) if language == "sh"]
    blocks = _INDENTED.findall(_FENCED.sub("", text))
    dedented = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]
    return fenced + [block for block in dedented if re.split(r"[ =]", block)[0] in PROGRAMS]


def faults(command: str) -> list[str]:
    """What would go wrong with a command: placeholders, addresses that a shell or curl would take apart."""
    here = re.sub(r"<<'?END'?$.*?^END$", "", command, flags=re.MULTILINE | re.DOTALL)
    found = [] if "…" not in here else ["has a placeholder"]
    bare = _QUOTED.sub(lambda quoted: "$api" if re.match(_ADDRESS, quoted[0][1:]) else "''", here)
    if address := re.search(rf"{_ADDRESS}[^\s\"']*[?&*\[\]{{}}]", bare):
        found.append(f"{address[0]} is not quoted")
    for quoted in _QUOTED.findall(here):
        if re.match(_ADDRESS, quoted[1:]) and re.search(r"[\s\[\]{}]", quoted[1:-1]):
            found.append(f"{quoted} has what an address may not have: --data-urlencode")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_can_be_pasted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    given = commands(text)
    assert [(each, faults(each)) for each in given if faults(each)] == []
    read = subprocess.run(["bash", "-n"], input="\n".join(given), capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
    for address in re.findall(r"`(?:[A-Z]+ )?(/[^`]*\?[^`]*)`", text):
        assert not re.search(r"[\s\[\]{}\"]", address), f"{address} is no address"


def test_a_command_that_cannot_be_pasted_is_found() -> None:
    assert commands("x\n\n    curl -s $api/claims?q=a\n    {}\n\n    {}\n") == [
        "curl -s $api/claims?q=a\n{}\n"
    ]
    assert faults("curl -s $api/claims?q=a")
    assert faults("curl -s http://localhost/v1/claims?a=b&c=d")
    assert faults("curl -s '$api/figures?min=90 bcm'")
    assert faults('curl -s "$api/figures"?min=90')
    assert faults('curl -s "$api/figures?unit=[cft_i]"')
    assert faults("curl -s https://…/article")
    assert faults("curl -sG \"$api/figures\" --data-urlencode 'min=90 bcm'") == []
