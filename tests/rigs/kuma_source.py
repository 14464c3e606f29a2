"""Backups and databases of Uptime Kuma as it writes them, for tests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# What Uptime Kuma 1.23 writes for every monitor, whatever its type (server/model/monitor.js, toJSON).
MONITOR: dict[str, Any] = {
    "description": None,
    "pathName": "",
    "parent": None,
    "childrenIDs": [],
    "url": "https://",
    "method": "GET",
    "hostname": None,
    "port": None,
    "maxretries": 0,
    "weight": 2000,
    "active": True,
    "forceInactive": False,
    "type": "http",
    "timeout": 48,
    "interval": 60,
    "retryInterval": 60,
    "resendInterval": 0,
    "keyword": None,
    "invertKeyword": False,
    "expiryNotification": False,
    "ignoreTls": False,
    "upsideDown": False,
    "packetSize": 56,
    "maxredirects": 10,
    "accepted_statuscodes": ["200-299"],
    "dns_resolve_type": "A",
    "dns_resolve_server": "1.1.1.1",
    "dns_last_result": None,
    "docker_container": "",
    "docker_host": None,
    "proxyId": None,
    "notificationIDList": {},
    "tags": [],
    "maintenance": False,
    "mqttTopic": "",
    "mqttSuccessMessage": "",
    "databaseQuery": None,
    "authMethod": None,
    "grpcUrl": None,
    "grpcProtobuf": None,
    "grpcMethod": None,
    "grpcServiceName": None,
    "grpcEnableTls": False,
    "radiusCalledStationId": None,
    "radiusCallingStationId": None,
    "game": None,
    "gamedigGivenPortOnly": True,
    "httpBodyEncoding": None,
    "jsonPath": None,
    "expectedValue": None,
    "kafkaProducerTopic": None,
    "kafkaProducerBrokers": [],
    "kafkaProducerSsl": False,
    "kafkaProducerAllowAutoTopicCreation": False,
    "kafkaProducerMessage": None,
    "screenshot": None,
    "headers": None,
    "body": None,
    "grpcBody": None,
    "grpcMetadata": None,
    "basic_auth_user": None,
    "basic_auth_pass": None,
    "pushToken": None,
    "databaseConnectionString": None,
    "mqttUsername": "",
    "mqttPassword": "",
    "tlsCa": None,
    "tlsCert": None,
    "tlsKey": None,
    "includeSensitiveData": True,
}


def monitor(identity: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "name": name, **MONITOR, **fields}


def backup(monitors: Iterable[Mapping[str, Any]], notifications: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """`notifications`: their settings, with `id` and `name`."""
    listed = [
        {
            "id": one["id"],
            "name": one["name"],
            "active": True,
            "userId": 1,
            "isDefault": False,
            "config": json.dumps(dict(one)),
        }
        for one in notifications
    ]
    return {"version": "1.23.16", "notificationList": listed, "proxyList": [], "monitorList": list(monitors)}


_SCHEMA = """
CREATE TABLE user (id INTEGER PRIMARY KEY, username VARCHAR(255), password VARCHAR(255));
CREATE TABLE setting (id INTEGER PRIMARY KEY, key VARCHAR(200), value TEXT);
CREATE TABLE proxy (id INTEGER PRIMARY KEY, user_id INT, protocol VARCHAR(10), host VARCHAR(255), port SMALLINT,
    auth BOOLEAN, username VARCHAR(255), password VARCHAR(255), active BOOLEAN, [default] BOOLEAN);
CREATE TABLE monitor (id INTEGER PRIMARY KEY, name VARCHAR(150), active BOOLEAN DEFAULT 1, user_id INTEGER DEFAULT 1,
    interval INTEGER DEFAULT 20, url TEXT, type VARCHAR(20), weight INTEGER DEFAULT 2000, hostname VARCHAR(255),
    port INTEGER, created_date DATETIME DEFAULT '2024-01-01', keyword VARCHAR(255), maxretries INTEGER DEFAULT 0,
    ignore_tls BOOLEAN DEFAULT 0, upside_down BOOLEAN DEFAULT 0, maxredirects INTEGER DEFAULT 10,
    accepted_statuscodes_json TEXT DEFAULT '["200-299"]', dns_resolve_type VARCHAR(5),
    dns_resolve_server VARCHAR(255), retry_interval INTEGER DEFAULT 0, push_token VARCHAR(20),
    method TEXT DEFAULT 'GET',
    body TEXT, headers TEXT, basic_auth_user TEXT, basic_auth_pass TEXT, proxy_id INTEGER,
    expiry_notification BOOLEAN DEFAULT 1, database_connection_string VARCHAR(2000), database_query TEXT,
    resend_interval INTEGER DEFAULT 0, packet_size INTEGER DEFAULT 56, http_body_encoding VARCHAR(25),
    description TEXT, parent INTEGER, invert_keyword BOOLEAN DEFAULT 0, json_path TEXT, expected_value VARCHAR(255),
    timeout DOUBLE DEFAULT 0);
CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, important BOOLEAN DEFAULT 0, monitor_id INTEGER, status SMALLINT,
    msg TEXT, time DATETIME, ping INTEGER, duration INTEGER DEFAULT 0, down_count INTEGER DEFAULT 0);
CREATE INDEX monitor_time_index ON heartbeat (monitor_id, time);
CREATE TABLE notification (id INTEGER PRIMARY KEY, name VARCHAR(255), active BOOLEAN DEFAULT 1, user_id INTEGER,
    is_default BOOLEAN DEFAULT 0, config TEXT);
CREATE TABLE monitor_notification (id INTEGER PRIMARY KEY, monitor_id INTEGER, notification_id INTEGER);
CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(255), color VARCHAR(255), created_date DATETIME);
CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
CREATE TABLE status_page (id INTEGER PRIMARY KEY, slug VARCHAR(255), title VARCHAR(255), description TEXT,
    icon VARCHAR(255), theme VARCHAR(30), published BOOLEAN DEFAULT 1, password VARCHAR);
CREATE TABLE [group] (id INTEGER PRIMARY KEY, name VARCHAR(255), public BOOLEAN DEFAULT 1, active BOOLEAN DEFAULT 1,
    weight INTEGER DEFAULT 1000, status_page_id INTEGER);
CREATE TABLE monitor_group (id INTEGER PRIMARY KEY, monitor_id INTEGER, group_id INTEGER,
    weight INTEGER DEFAULT 1000, send_url BOOLEAN DEFAULT 0);
CREATE TABLE maintenance (id INTEGER PRIMARY KEY, title VARCHAR(150), description TEXT, user_id INTEGER,
    active BOOLEAN DEFAULT 1, strategy VARCHAR(50), start_date DATETIME, end_date DATETIME, start_time TIME,
    end_time TIME, weekdays VARCHAR(250) DEFAULT '[]', days_of_month TEXT DEFAULT '[]', interval_day INTEGER,
    cron TEXT, timezone VARCHAR(255), duration INTEGER);
CREATE TABLE monitor_maintenance (id INTEGER PRIMARY KEY, monitor_id INTEGER, maintenance_id INTEGER);
CREATE TABLE maintenance_status_page (id INTEGER PRIMARY KEY, status_page_id INTEGER, maintenance_id INTEGER);
"""
_DAYS = """
CREATE TABLE stat_daily (id INTEGER PRIMARY KEY, monitor_id INTEGER, timestamp INTEGER, ping FLOAT, up SMALLINT,
    down SMALLINT, ping_min FLOAT, ping_max FLOAT, extras TEXT);
"""


class KumaDatabase:
    """`kuma.db` with the tables of 1.23; with `days` also the daily statistics of 2.x."""

    def __init__(self, path: Path, *, days: bool = False) -> None:
        self.path = path
        self.connection = sqlite3.connect(path)
        self.connection.executescript(_SCHEMA + (_DAYS if days else ""))
        self.add("user", username="admin", password="$2a$10$kumahash")

    def add(self, table: str, **fields: Any) -> None:
        names = ", ".join(f"[{name}]" for name in fields)
        marks = ", ".join("?" for _ in fields)
        self.connection.execute(f"INSERT INTO [{table}] ({names}) VALUES ({marks})", list(fields.values()))

    def beat(self, monitor: int, at: float, status: int, ping: float | None, duration: int) -> None:
        written = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        self.add("heartbeat", monitor_id=monitor, status=status, time=written, ping=ping, duration=duration, msg="")

    def close(self) -> Path:
        self.connection.commit()
        self.connection.close()
        return self.path
