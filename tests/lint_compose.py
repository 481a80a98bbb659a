"""Check Compose files against the Compose specification: `python -m tests.lint_compose FILE…`.

Variables take their default, as the specification is about the file that results; those without
one (`${NAME}`, `${NAME:?message}`) take a placeholder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from compose_spec import PyCompose, PyOptions

VARIABLE = re.compile(r"\$(?:(\$)|\{\w+(?::?-([^}]*)|[^}]*)\}|\w+)")


def interpolated(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        return str(match[1] or (match[2] if match[2] is not None else "placeholder"))

    return VARIABLE.sub(value, text)


def dangling(compose: PyCompose) -> Iterator[str]:
    """Find the references that the validator leaves unchecked."""
    spec = compose.to_dict()
    for name, service in spec.get("services", {}).items():
        for other in service.get("depends_on", ()):
            if other not in spec["services"]:
                yield f"{name} depends on {other}, which is not a service"
        for mount in service.get("volumes", ()):
            volume = mount.partition(":")[0] if isinstance(mount, str) else ""
            if re.match(r"\w", volume) and volume not in (spec.get("volumes") or {}):
                yield f"{name} mounts {volume}, which is not a volume"


def main(paths: list[str]) -> int:
    status = 0
    for path in paths:
        try:
            text = interpolated(Path(path).read_text(encoding="utf-8"))
            compose = PyOptions(apply_merge=True).from_yaml(text)
            compose.validate()
            for problem in dangling(compose):
                raise ValueError(problem)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
