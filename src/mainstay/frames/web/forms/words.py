"""Keys of documents as words that people read."""

from __future__ import annotations

from typing import Any

_AS_THEY_ARE = {
    "ca": "CA",
    "dns": "DNS",
    "dnssec": "DNSSEC",
    "edns": "EDNS",
    "host": "Host",
    "http": "HTTP",
    "icmp": "ICMP",
    "id": "ID",
    "imap": "IMAP",
    "ip": "IP",
    "json": "JSON",
    "mongodb": "MongoDB",
    "mqtt": "MQTT",
    "mysql": "MySQL",
    "ntp": "NTP",
    "pagerduty": "PagerDuty",
    "pop3": "POP3",
    "postgres": "PostgreSQL",
    "promql": "PromQL",
    "rcode": "Response code",
    "smtp": "SMTP",
    "ssh": "SSH",
    "timezone": "Time zone",
    "tcp": "TCP",
    "tls": "TLS",
    "udp": "UDP",
    "url": "URL",
    "uuid": "UUID",
    "websocket": "WebSocket",
    "grpc": "gRPC",
}


def label_of(key: str, title: str) -> str:
    """A field's own title, else its key in words: `ip_version` -> `IP version`."""
    made = title.lower().replace(" ", "") == key.lower().replace("_", "")  # pydantic makes one of the name
    if title and not made:
        return title
    words = [_AS_THEY_ARE.get(word, word) for word in key.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:] if words[0] not in _AS_THEY_ARE.values() else text


def option_label(value: Any) -> str:
    """What a choice reads like: yes and no for a switch, all else as it is written."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
