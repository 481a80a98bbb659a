"""Schemathesis on a live server: every operation of its OpenAPI document, with every check there is."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.config._checks import (
    MISSING_REQUIRED_HEADER_EXPECTED_STATUSES,
    NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES,
)
from schemathesis.engine import Status, events, from_schema, observations

from tests.fuzz.cost import Meter

PHASES = ("examples", "coverage", "fuzzing", "stateful")
KINDS_OF_DATE = ("2023-03-21", "2023-02", "2022", "2022?", "../2023-03-19", "2022/2023", "202X", "2023-21")
"""Some of what EDTF can say."""

# What Schemathesis cannot make up: forms of strings that JSON Schema has no name for, and files.
schemathesis.openapi.format("edtf", st.dates().map(str) | st.sampled_from(KINDS_OF_DATE))
schemathesis.openapi.format("language-tag", st.sampled_from(("en", "ru", "zh-Hant", "pt-BR")))


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: Any, value: Any) -> Any:
    return str(value).encode(errors="replace")


_SAME_ORIGIN = observations._same_origin_path


def _same_origin(value: str, origin: Any) -> str | None:
    """The path of a text that is an address of this server. Texts such as "/\\n/[" would end the run."""
    try:
        return _SAME_ORIGIN(value, origin)
    except ValueError:
        return None


observations._same_origin_path = _same_origin

# A request can be as its schema has it and yet be refused, for what no schema tells. Each of these is a
# refusal in words of its own; whatever else is refused is a failure of the check.
BEYOND_A_SCHEMA = {
    r"^It is at version": "If-Match is the version of a record, which changes",
    r"^The cursor is not one": "a cursor is signed",
    r"used for another request": "an Idempotency-Key is for one request, and these are sent anew",
    r"^[Tt]here is no \w+ |is the id of a|not the (key|id) of|not (a review|evidence|a snapshot) of"
    r"|does not stand|what no figure measures|is no organization$": "refers to what is not there, or is "
    "another's",
    r"is not a date: write|not a period that ends after": "EDTF has a grammar, not a pattern",
    r"is not a BCP 47 language tag": "language tags are in a register",
    r"is not a unit|is a unit alone|needs a unit|is not a scale|begins with a number|is less than min"
    r"|is a unit of|does not compare with": "units are in a table",
    r"too long to be kept|has more than \d+ digits": "no keyword counts the digits of a number",
    r"is not a column|not read from CSV|^The (file|page)|^[Ll]ine \d|rows? (is|are) refused|^A line": "to "
    "its schema, a file is a string",
    r"^is not given to \w+s: they are recorded": "what kind of claim it is, another request has said",
    r"^is needed, or else both|^is not the text's|past the text's end|source's text"
    r"|of the direct quote": "what a text is checked for",
    r"^has more than \d+ words|^has no word to look for": "words are counted, not characters",
    r"http or https URL|can be resolved|percent-encoded form": "a format is a hint",
    r"is not https$|is not public$|has a user in it|has a fragment|can be read$|that there is not$": "no "
    "pattern says where an address leads",
    r"no moment: write|is yet to come|is in the future": "a moment of the past has one of three forms",
    r"is not in the future$": "what time it is, no schema says",
    r"entries of that log$|is more than there are|more than the \d+ of the later log|is not one of this log"
    r"|or else checkpoint is needed|of the two logs": "how much the log has, and what was signed for it",
    r"^has no character that can be seen$": "which characters show nothing is a table of Unicode",
    r"^has a NUL|^has a character that is not text$": "said once, of all strings, in the document",
    r"^a value is needed|range needs lower|not in that order|go together|source or a url|needs its source"
    r"|verdict or an attribution|verdict needs at least|one speaker: the publisher|ends before it starts"
    r"|the same \w+ twice|entry at `after`, which is missing|needs a piece of evidence"
    r"|embargoed is not public yet$": "rules between fields, said in a description",
}


@dataclass
class Tally:
    """What was sent and answered."""

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often, by operation, phase and status."""
    failures: list[str] = field(default_factory=list)
    waived: Counter[str] = field(default_factory=Counter)
    """Refusals of what no schema tells, by reason."""

    @property
    def cases(self) -> int:
        """How many requests were answered."""
        return self.answers.total()

    def __str__(self) -> str:
        return f"{self.cases} cases, {len(self.failures)} failures"

    def lines(self) -> Iterator[str]:
        """A line for every operation and phase: cases, statuses."""
        statuses: dict[tuple[str, str], Counter[str]] = {}
        for (operation, phase, status), number in self.answers.items():
            statuses.setdefault((operation, phase), Counter())[status] += number
        for (operation, phase), found in sorted(statuses.items()):
            told = " ".join(f"{status}:{number}" for status, number in sorted(found.items()))
            yield f"{operation:<52} {phase:<9} {found.total():>6}  {told}"


@dataclass(frozen=True)
class Wish:
    """What is to be sent: as whom (a key, or none), how much, and of which operations (all, if no `only`)."""

    token: str | None
    seed: int
    examples: int
    phases: Sequence[str] = PHASES
    only: Sequence[str] = ()
    own: str = ""
    """The id of its key, which is never revoked: what comes after would be refused."""
    pid: int | None = None
    """The server's process, if what requests cost is to be looked at."""


class _Costs:
    """The server that is measured, and where what costs too much is counted. Schemathesis has hooks around a
    call for the whole process only.
    """

    meter: Meter | None = None
    tally: Tally


@schemathesis.hook
def before_call(_context: Any, _case: Any, _kwargs: Any) -> None:
    if _Costs.meter is not None:
        _Costs.meter.read()


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """Twice the ceiling is allowed, since nothing here is sent again to be sure."""
    if _Costs.meter is None:
        return
    refused, size = response.status_code >= 400, len(response.content)
    target = str(response.request.url).encode()
    if found := _Costs.meter.read().fault(target, refused=refused, size=size, times=2):
        _Costs.tally.failures.append(f"{case.operation.label}: {found}\n{case.as_curl_command()[:2000]}")


def examine(url: str, wish: Wish, tally: Tally) -> Iterator[str]:
    """Sends what is wished for to the server at `url`, runs every check on the answers, and counts. Tells of
    each phase that is done.
    """
    described = httpx.get(f"{url}/openapi.json", timeout=120, trust_env=False).json()
    document: Any = schemathesis.openapi.from_dict(described, config=_config(url, wish))
    document = document.exclude(operation_id="follow_changes")  # its answer has no end
    if wish.only:
        document = document.include(operation_id=list(wish.only))
    _hooks(document, wish, tally)
    for event in from_schema(document).execute():
        match event:
            case events.ScenarioFinished():
                _note(event, tally)
            case events.PhaseFinished() if event.phase.name in wish.phases:
                yield str(event.phase.name)
            case events.NonFatalError():
                tally.failures.append(f"{event.label} ({event.phase}): {event.value!r}")
            case events.FatalError():
                raise event.exception


def _config(url: str, wish: Wish) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "seed": wish.seed,
            "request-timeout": 60,
            "continue-on-failure": True,
            "cache": {"enabled": False},
            # How fast values are made is a matter of the machine.
            "suppress-health-check": ["too_slow"],
            "generation": {"max-examples": wish.examples, "deterministic": True, "database": "none"},
            "phases": {phase: {"enabled": phase in wish.phases} for phase in PHASES},
            # 428 is what RFC 6585 has for a request without If-Match.
            "checks": {
                "missing_required_header": {
                    "expected-statuses": [*MISSING_REQUIRED_HEADER_EXPECTED_STATUSES, "428"]
                },
                # What is too long is refused before it is looked at.
                "negative_data_rejection": {
                    "expected-statuses": [*NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES, "413", "414", "431"]
                },
            },
            **({"auth": {"openapi": {"key": {"bearer": wish.token}}}} if wish.token else {}),
        }
    )


def _hooks(document: Any, wish: Wish, tally: Tally) -> None:
    def filter_case(_context: Any, case: Any) -> bool:
        return not wish.own or (case.path_parameters or {}).get("key_id") != wish.own

    def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
        reason = _reason_of(failure, response) or _only_white_space(failure, case)
        if reason is not None:
            tally.waived[reason] += 1
        return reason is None

    for hook in (filter_case, filter_failure):
        document.hook(hook)
    _Costs.meter, _Costs.tally = (Meter(wish.pid) if wish.pid is not None else None), tally


def _reason_of(failure: Any, response: Any) -> str | None:
    """Why a failure is none."""
    return (
        _beyond_a_schema(failure, response)
        or _row_by_row(failure, response)
        or _stays(failure)
        or _of_both(failure)
    )


def _beyond_a_schema(failure: Any, response: Any) -> str | None:
    if type(failure).__name__ != "RejectedPositiveData":
        return None
    if response.status_code in (414, 431):
        return "longer than an address or a header may be"
    problem = response.json()
    told = [fault["detail"] for fault in problem.get("errors", [])] or [problem["detail"]]
    reasons = [_reason(each) for each in told]
    return reasons[0] if all(reasons) else None


def _only_white_space(failure: Any, case: Any) -> str | None:
    """What is too long only by the white space around it is kept without that."""
    longer = type(failure).__name__ == "AcceptedNegativeData" and "violates `maxLength`" in str(failure)
    spaced = isinstance(case.body, dict) and any(
        isinstance(each, str) and each != each.strip() for each in case.body.values()
    )
    return "white space around a text is not counted" if longer and spaced else None


def _stays(failure: Any) -> str | None:
    """DELETE ends a key or webhook, whose record stays, as its description says."""
    ends = re.search(r" /v1/(keys|webhooks)/{\w+}(/\w+)?$", failure.operation)
    kept = type(failure).__name__ == "UseAfterFree" and ends
    return "what was ended is shown as ended" if kept else None


def _row_by_row(failure: Any, response: Any) -> str | None:
    """What is wrong with a file is in the answer to a dry run, and where its good rows are kept."""
    is_file = type(failure).__name__ == "AcceptedNegativeData" and failure.operation == "POST /v1/import"
    return (
        "the rows of a file are refused in the answer" if is_file and response.json().get("refused") else None
    )


def _of_both(failure: Any) -> str | None:
    """To the routes, `clm_….jsonld` could be an id too: what is done to a claim is said to be done to it."""
    extended = failure.operation.endswith("}.jsonld")
    both = type(failure).__name__ == "AllowHeaderMismatch" and extended
    return "an address with an ending could be an id" if both else None


def _reason(told: str) -> str | None:
    return next((why for words, why in BEYOND_A_SCHEMA.items() if re.search(words, told)), None)


def _note(event: events.ScenarioFinished, tally: Tally) -> None:
    recorder, phase = event.recorder, str(event.phase)
    for name, interaction in recorder.interactions.items():
        status = str(interaction.response.status_code) if interaction.response else "no answer"
        operation = recorder.cases[name].value.operation.label
        tally.answers[operation, phase, status] += 1
    for name, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                told, sent = check.failure_info, recorder.interactions.get(name)
                answer = sent.response.text[:500] if sent and sent.response else "no answer"
                operation = recorder.cases[name].value.operation.label
                tally.failures.append(
                    f"{operation} ({phase}): {check.name}: {told.failure}\n{told.code_sample}\n{answer}"
                )
