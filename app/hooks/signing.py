"""Messages as Standard Webhooks has them: what is sent, under which id, and how it is signed."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.base.times import instant

OVERLAP = timedelta(hours=24)
"""For so long after a rotation the secret before signs too."""


def secret_of(house: bytes, webhook_id: str, rotation: int) -> bytes:
    """The secret of a webhook, made of the house's."""
    return hmac.digest(house, f"webhook\0{webhook_id}\0{rotation}".encode(), hashlib.sha256)


def shown(secret: bytes) -> str:
    """The secret as a receiver keeps it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def secrets_at(
    house: bytes, webhook_id: str, rotation: int, rotated_at: datetime | None, at: datetime
) -> list[bytes]:
    """The secrets that sign at a moment, the newest first."""
    overlaps = rotated_at is not None and at - rotated_at < OVERLAP
    return [secret_of(house, webhook_id, number) for number in (rotation, rotation - 1)[: 1 + overlaps]]


@dataclass(frozen=True)
class Message:
    """What is sent. `id` is the same each time it is."""

    id: str
    body: bytes

    def headers(self, secrets: Sequence[bytes], at: datetime) -> dict[str, str]:
        """Its headers, signed with each of the secrets."""
        second = str(int(at.timestamp()))
        signed = b".".join((self.id.encode(), second.encode(), self.body))
        signatures = (
            base64.b64encode(hmac.digest(each, signed, hashlib.sha256)).decode() for each in secrets
        )
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": second,
            "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
        }


def of_entry(webhook_id: str, entry: Mapping[str, Any]) -> Message:
    """An entry of the ledger, told to a webhook. Its hash is in the message's id: the `seq` may be another
    entry's once a backup was restored, which a receiver must not take for the same message.
    """
    return message(f"{webhook_id}_{_name(entry)}", entry["action"], entry["at"], entry)


def of_batch(webhook_id: str, entries: Sequence[Mapping[str, Any]]) -> Message:
    """Some entries, told in one message, which is as old as the last of them."""
    first, last = entries[0], entries[-1]
    return message(
        f"{webhook_id}_{first['seq']}-{_name(last)}", "ledger.batch", last["at"], {"changes": entries}
    )


def of_reset(webhook_id: str, at: datetime, seq: int, digest: str | None) -> Message:
    """The message that a backup was restored, and after which entry deliveries go on."""
    after = {"seq": seq, "hash": digest}
    return message(
        f"{webhook_id}_reset-{int(at.timestamp())}-{seq}", "ledger.reset", instant(at), {"after": after}
    )


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry['seq']}-{entry['hash'][:16]}"


def message(message_id: str, kind: str, at: str, data: Mapping[str, Any]) -> Message:
    """A message of a kind of event."""
    return Message(message_id, orjson.dumps({"type": kind, "timestamp": at, "data": data}))
