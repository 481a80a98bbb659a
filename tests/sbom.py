"""Write the bill of materials of a lock file: `python -m tests.sbom requirements.lock sbom.cdx.json`.

CycloneDX 1.6, checked against its schema. It is made of the lock alone, without the internet, and the same
lock makes the same file: each package with its version, the hashes of the files that may be installed, and
where it is needed.
"""

import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from app.base import schema

_LOCKED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\\n]+?))?(?: \\)?$", re.MULTILINE
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def packages(lock: str) -> Iterator[Component]:
    """The packages of a lock file."""
    found = [*_LOCKED.finditer(lock)]
    ends = [*(each.start() for each in found[1:]), len(lock)]
    for each, end in zip(found, ends, strict=True):
        name, version, marker = each["name"], each["version"], each["marker"]
        hashes = _HASH.findall(lock, each.end(), end)
        purl = PackageURL("pypi", name=name, version=version)
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=str(purl),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in hashes],
            properties=[Property(name="python:marker", value=marker)] if marker else [],
        )


def bill(lock: str) -> str:
    """The bill of materials, as JSON. Raises ValueError if it is not what the schema says."""
    project = tomllib.loads((schema.ROOT / "pyproject.toml").read_text())["project"]
    made = Bom()
    made.serial_number = uuid.UUID(bytes=sha256(lock.encode()).digest()[:16], version=4)
    made.metadata.timestamp = datetime(1970, 1, 1, tzinfo=UTC)
    made.metadata.component = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
    )
    for each in packages(lock):
        made.components.add(each)
    made.register_dependency(made.metadata.component, made.components)
    text: str = JsonV1Dot6(made).output_as_string(indent=1)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(str(fault))
    return text + "\n"


def main(lock: str, into: str) -> None:
    """Writes the bill and says how much is in it."""
    text = Path(lock).read_text()
    Path(into).write_text(bill(text))
    print(f"{into}: {len(list(packages(text)))} packages")


if __name__ == "__main__":
    main(*sys.argv[1:])
