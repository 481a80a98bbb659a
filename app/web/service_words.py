"""Descriptions of the properties of pages, problems, the ledger, people, webhooks and imports in the
reference, by the rules of `record_words`; and those of the parameters in paths.
"""

from collections.abc import Mapping

SERVICE: Mapping[str, str] = {
    "data": "The records of this page, in order.",
    "Queues.data": "The queues.",
    "next_cursor": "The value of `cursor` for the next page; null on the last.",
    "type": "The type of the record.",
    "ProblemOut.type": (
        "The address of the description of the problem, relative to this server: `/problems#…`."
    ),
    "ProblemOut.title": "The name of the kind of problem.",
    "ProblemOut.status": "The HTTP status of the answer.",
    "detail": "An explanation of what is wrong, in a sentence.",
    "request_id": "The id of the request, which the server's log has too; null if there is none.",
    "errors": "The values that are wrong, the first 20 of them.",
    "more_errors": "The number of wrong values that `errors` leaves out; left out if there are none.",
    "pointer": (
        "The place of the wrong value: a JSON pointer into the body (RFC 6901), or a parameter's name."
    ),
    "seq": "The entry's place in the ledger, from 1.",
    "Change.at": "The time at which the entry was written, in UTC (RFC 3339).",
    "actor": (
        "The id of the person who made the change, `per_…`, or a word like `cli` for what the server or"
        " a command did; null to the public for a person."
    ),
    "actor_name": "The name of who made the change; null to the public for a person.",
    "action": "The action, such as `claim.review`; null to the public if the record is not public.",
    "resource": (
        "The type of the record that was changed, such as `claim`; null to the public if the record is not "
        "public."
    ),
    "resource_id": (
        "The id of the record that was changed, such as `clm_…`; null to the public if the record is not "
        "public."
    ),
    "Change.version": (
        "The version that the record has after the change; null to the public if the record is not public."
    ),
    "difference": (
        "The fields that changed, by name, each with its value before and after; null if none may be shown."
    ),
    "Difference.old": "The value before; null if there was none.",
    "Difference.new": "The value after; null if there is none.",
    "Change.reason": (
        "The reason that was given for the change; null if there is none or it may not be shown."
    ),
    "MergeIn.reason": "The reason for the merge, for the ledger; null for none.",
    "hash": "The SHA-256 of the entry: 64 hexadecimal digits.",
    "previous_hash": "The `hash` of the entry before: 64 hexadecimal digits.",
    "index": "The place of the entry in the log, from 0: `seq` less one.",
    "size": "The number of entries that the log has.",
    "hashes": "The hashes of the proof in base64, in the order of RFC 9162.",
    "root": "The root hash of the log of that size, in base64.",
    "proof": "The whole proof as text, with a signed checkpoint (c2sp.org/tlog-proof).",
    "first": "The number of entries of the earlier log.",
    "first_root": "The root hash of the earlier log, in base64.",
    "second": "The number of entries of the later log.",
    "second_root": "The root hash of the later log, in base64.",
    "record": "The id of the record that lost words, such as `clm_…`.",
    "also": "The ids of other records that lost words with it.",
    "Erasure.note": "The public reason for the erasure.",
    "covered": (
        "The number of entries in the whole database that still have words nobody is shown; `python -m app "
        "erase` removes them."
    ),
    "quoted_in": "The ids of claims and evidence that still quote the erased source, `clm_…` or `evd_…`.",
    "Assignee.id": "The person's id, `per_…`.",
    "PersonBrief.id": "The person's id, `per_…`.",
    "Person.id": "The person's id, `per_…`.",
    "Myself.id": "The person's id, `per_…`.",
    "Key.id": "The key's id, `key_…`.",
    "MyKey.id": "The key's id, `key_…`.",
    "Webhook.id": "The webhook's id, `whk_…`.",
    "NewSecret.id": "The webhook's id, `whk_…`.",
    "Assignee.name": "The person's name.",
    "Judge.id": "The person's id, `per_…`; null to the public.",
    "Judge.name": "The person's name; to the public their byline.",
    "Reviewer.id": "The person's id, `per_…`; null to the public.",
    "Reviewer.name": "The person's name; to the public their byline.",
    "PersonBrief.name": "The name that colleagues know them by.",
    "Person.name": "The name that colleagues know them by.",
    "Myself.name": "The name that colleagues know them by.",
    "byline": "The name that they chose to be shown by to everyone; null if they chose none.",
    "email": "The address to write to them; it is on no ledger. Null if none is known.",
    "organisations": "The organisations that they belong to and may rule for. They are sent as ids or slugs.",
    "ended": "True if they no longer work here; their keys are revoked then.",
    "ended_at": (
        "The time at which they ended, in UTC (RFC 3339); null if not. Left out for others than admins."
    ),
    "Person.version": "The number of the record's version, from 1; left out for others than admins.",
    "Person.created_at": (
        "The time at which they were added, in UTC (RFC 3339); left out for others than admins."
    ),
    "Person.updated_at": "The time of the last change, in UTC (RFC 3339); left out for others than admins.",
    "person": "The person whose key it is.",
    "key": "The key that was sent.",
    "Key.name": "A name for the key, such as the desk or program that uses it.",
    "MyKey.name": "A name for the key, such as the desk or program that uses it.",
    "Key.role": "The most that the key may do; its person's role may be less.",
    "MyKey.role": "The most that the key may do; its person's role may be less.",
    "Me.role": "The role that counts: the lower of the person's and the key's.",
    "Person.role": "The most that any of their keys may do.",
    "Myself.role": "The most that any of their keys may do.",
    "expires_at": (
        "The time from which the key no longer works, in UTC (RFC 3339); null if it does not expire."
    ),
    "revoked_at": "The time at which the key was revoked, in UTC (RFC 3339); null if it was not.",
    "last_used_at": "The time of a recent use of the key, in UTC (RFC 3339); null if it was never used.",
    "NewKey.secret": (
        "The key to send as `Authorization: Bearer otr_…`, shown this once; null if this answer is given "
        "again."
    ),
    "NewSecret.secret": (
        "The secret that signs messages, `whsec_…`, shown this once; null if this answer is given again."
    ),
    "types": (
        "The actions that are sent, or types of record for all that is done to one; empty for everything."
    ),
    "Webhook.url": "The address that messages are sent to, https unless the server allows others.",
    "NewSecret.url": "The address that messages are sent to, https unless the server allows others.",
    "batch": (
        "The most entries that one message has, 1 to 500; null sends each entry in a message of its own."
    ),
    "enabled": "True if messages are sent.",
    "disabled_because": "The reason why the server has disabled it; null if it has not.",
    "rotated_at": "The time at which the secret was last changed, in UTC (RFC 3339); null if it never was.",
    "removed_at": "The time at which the webhook was removed, in UTC (RFC 3339); null if it was not.",
    "deliveries": "The state of its deliveries.",
    "delivered": "The `seq` of the last entry up to which everything was taken.",
    "Ping.delivered": "True if the target took the message, with an answer 2xx.",
    "lag": "The entries that are yet to be sent.",
    "entries": "The number of entries that are yet to be sent, at most.",
    "since": "The time at which the first of these was written, in UTC (RFC 3339); null if there are none.",
    "reset_at": (
        "The time at which the restore of a backup was noticed, until the target has taken the message on "
        "it; null otherwise."
    ),
    "failing_since": (
        "The time of the first of the failures in a row, in UTC (RFC 3339); null if the last message was "
        "taken."
    ),
    "attempts": "The number of failures in a row.",
    "next_at": "The time of the next attempt after a failure, in UTC (RFC 3339); null if none failed.",
    "last_at": "The time of the last attempt that was kept, in UTC (RFC 3339); null if there was none.",
    "last_status": "The HTTP status of the target's last answer; null if there was none.",
    "last_error": "The fault of the last attempt, in words; null if it was taken.",
    "Ping.status": "The HTTP status of the target's answer; null if there was none.",
    "error": "The fault, in words; null if the message was taken.",
    "seconds": "The time that the attempt took, in seconds.",
    "Import.mode": "The treatment of refused rows.",
    "dry_run": "True if nothing was kept and only the outcome is told.",
    "created": "The number of rows that made a record.",
    "unchanged": "The number of rows whose record was here already.",
    "refused": "The number of rows that were refused.",
    "results": "The outcome of each row, in the order of the file.",
    "line": "The number of the line in the file, from 1.",
    "outcome": "The outcome of the row.",
    "Row.id": "The id of the record, new or found; null if the row was refused.",
    "Row.type": "The type of the record; null if the row does not say it.",
    "Row.errors": "The wrong values of the row.",
    "made": "The entities and sources that were added because the row names them.",
    "Queue.name": "The name of the queue, such as `awaiting_approval`.",
    "Queue.url": "The address that lists the queue, relative to this server: `/v1/claims?…`.",
}

PATHS: Mapping[str, str] = {
    "claim_id": "The claim's id, `clm_…`.",
    "review_id": "The review's id, `rev_…`.",
    "source_id": "The source's id, `src_…`.",
    "snapshot_id": "The snapshot's id, `snp_…`.",
    "figure_id": "The figure's id, `fig_…`.",
    "link_id": "The link's id, `lnk_…`.",
    "person_id": "The person's id, `per_…`.",
    "key_id": "The key's id, `key_…`.",
    "webhook_id": "The webhook's id, `whk_…`.",
    "ref": "The entity's id, `ent_…`, or its slug.",
}
