"""What happens: facts in the past tense, appended to the journal with the state change they tell of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Every kind of event with the sentence that the reference prints. A kind that is not listed cannot be recorded.
EVENTS: dict[str, str] = {
    "mainstay.started": "the server started; data: version",
    "mainstay.stopped": "the server stopped; data: reason",
    "mainstay.reaction_failed": "a part of this program failed at what follows from an event, which stands all the "
    "same; told once; data: reaction, event, about, reason, message",
    "mainstay.reaction_works": "that part works again; data: reaction",
    "resources.applied": "a plan was applied; data: revision, manager, source, counts, and the first 100 names by kind "
    "of created, changed, deleted",
    "resources.rolled_back": "an earlier revision was restored; data: to, revision",
    "snapshot.taken": "everything was copied to one file; data: address, bytes, journal_seq, encrypted, deleted",
    "snapshot.failed": "a snapshot could not be taken; data: to, error",
    "snapshot.restored": "this store was made from a snapshot; data: file, taken_at, program, journal_seq",
    "store.migrated": "this store was moved here from another database; data: from, to, rows",
    "node.joined": "a server began to share the work on this database; data: node, session, version, address",
    "node.left": "a server stopped in good order, others have its share; data: node, session",
    "node.lost": "a server is not heard any more, others take its share over; data: node, session, since, "
    "severity, labels, reason, address",
    "node.returned": "a server that was out of touch is back; data: node, session, seconds since it was missed",
    "node.draining_began": "a person let a server hand over its share; data: node",
    "node.draining_ended": "it takes a share again; data: node",
    "node.forgotten": "a server that is gone for good was removed; data: node",
    "config.rejected": "a watched file had mistakes and was not applied; data: file, diagnostics",
    "monitor.went_down": "confirmed failing; data: reason, evidence, since, previous, and flapping, how often, "
    "if that begins with it",
    "monitor.went_degraded": "working but outside its limits; data as for went_down",
    "monitor.went_up": "working again, or for the first time; data: reason, previous, downtime in seconds",
    "monitor.went_unknown": "nothing can be said; data: reason, evidence",
    "monitor.went_paused": "paused by a person; data: previous",
    "monitor.resumed": "no longer paused; waits for its next result; data: previous",
    "monitor.went_maintenance": "a window covers it; data: window, previous",
    "monitor.stayed_down": "still failing after the parent that suppressed it came back; data as for went_down",
    "monitor.history_erased": "a person had all results of it until then deleted; data: uid",
    "monitor.flapping_started": "goes down too often; recoveries are held back; data: message, how often",
    "monitor.flapping_stopped": "calm again",
    "heartbeat.went_down": "a deadline passed or a failure was reported; data: reason, last ping, deadline",
    "heartbeat.went_up": "a success was reported; data: previous, downtime in seconds",
    "heartbeat.went_unknown": "a ping may have been missed through no fault of the job; data as for went_down",
    "heartbeat.went_paused": "paused by a person or by its declaration",
    "heartbeat.created_by_ping": "a ping with create=1 made it; data: slug",
    "uplink.lost": "the machine itself has no network; results are unknown; data: evidence",
    "uplink.restored": "the network is back; data: seconds lost",
    "location.went_silent": "a place that checks are made from is not heard any more; data: uid, severity, labels, "
    "since, reason, address, version",
    "location.came_back": "it is heard again, or for the first time; data: uid, previous, seconds lost",
    "alert.fired": "an alert opened; data: alert, monitor, severity, labels, suppressed and why",
    "alert.escalated": "an open alert got worse; data: alert, monitor, severity, level and what they were",
    "alert.eased": "an open alert got milder; data as for escalated",
    "alert.unsuppressed": "its parent is back and it still fails, so people are told now; data: alert, suppressed_by",
    "alert.told": "channels that had not heard of an open alert are told now; data: alert, monitor, channels, why",
    "alert.resolved": "the cause is gone, or a person closed it; data: alert, monitor, reason, seconds open",
    "alert.acknowledged": "a person took it; data: alert, monitor",
    "alert.unacknowledged": "nobody has it any more; data: alert, monitor, and who had it",
    "alert.noted": "a person wrote a note on it, or took it away; data: alert, monitor, note",
    "alert.muted": "no more notifications until a time; data: alert, monitor, until",
    "alert.unmuted": "notifications again, by a person or because the time is over; data: alert, monitor, reason",
    "notification.delivered": "a channel accepted it; data: notification, channel, attempts",
    "notification.refused": "a channel refused it for good; data: notification, channel, error",
    "notification.expired": "it could not be delivered in time; data: notification, channel, attempts, error",
    "notification.suppressed": "it was held back on purpose; data: alert, channel, reason",
    "notification.cancelled": "it became pointless; data: notification, alert, channel, reason",
    "channel.tested": "a test notification was sent; data: channel, outcome",
    "user.created": "an account was made; data: user, role, provider of single sign-on if one did",
    "user.role_changed": "data: user, from, to",
    "user.address_changed": "a person's e-mail address, which is their name here, was changed; data: from, to",
    "user.link_made": "a one-time link to set a new password was made; data: user",
    "user.password_changed": "data: user, how",
    "user.deactivated": "an account was switched off; its sessions and tokens stopped; data: user",
    "user.reactivated": "an account was switched on again; data: user",
    "user.signed_in": "data: user, how, second factor used, remote address",
    "user.sign_in_failed": "data: user name tried, step, reason if there is more to tell, remote address",
    "user.signed_out": "data: user",
    "user.sessions_ended": "single sign-on is the only way in, so sessions that came by another were ended; data: "
    "sessions, people",
    "user.second_factor_changed": "data: user, what",
    "user.recovery_codes_shown": "a person looked at their recovery codes; data: user, how (page or file)",
    "user.recovery_made": "a link that lifts what locks a person out was made on the machine; data: user, expires",
    "user.recovered": "such a link was used: new password, second factor gone, limits lifted for an hour; data: user",
    "token.created": "an API token was made; data: token id, name, scopes, expiry, service account and limits if any",
    "token.rotated": "a token was replaced; data: token id, name, replaces, and until when the old one works",
    "token.revoked": "data: token id, name",
    "journal.exported": "entries were handed out as a file; data: how, and the filter",
    "journal.checkpoint_made": "the chain's end was signed; data: seq, hash, and the channel if it was sent to one",
    "journal.erased": "what is about a person was erased, the chain stays whole; data: person, a name of chance, and "
    "entries, the first and last numbers of ranges, and digest, of these entries as they became",
    "heartbeat.address_shown": "a person was shown the address that a job pings, told once a day; data: uid",
    "heartbeat.addresses_shown": "somebody was shown, or exported, the addresses of several jobs, told once a day; "
    "data: count",
    "vault.changed": "a secret was set or removed; data: name, what. Never the value",
    "vault.rotated": "stored secrets were encrypted anew with the first key; data: secrets",
    "token.ping_key_rotated": "a new ping key was made; the old one stops working",
}


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` names what it is about as kind/name (`monitor/api`); `data` is JSON and holds no secret."""

    kind: str
    subject: str
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in EVENTS:
            raise AssertionError(f"undeclared event kind {self.kind}")
