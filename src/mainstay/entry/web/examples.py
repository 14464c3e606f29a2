"""A first text for the editor, for each kind: short, true, and with the keys that people ask for next."""

from __future__ import annotations

EXAMPLES: dict[str, str] = {
    "monitor": """monitors:
  website:
    http: https://example.com
    every: 1m
    expect: {status: 200-299, degraded_after: 1s}
    severity: P1
    labels: {service: website}
""",
    "location": """locations:
  frankfurt:
    description: A rented machine in Frankfurt, outside of our network
    silent_after: 30s
""",
    "heartbeat": """heartbeats:
  nightly-backup:
    cron: "0 2 * * *"
    timezone: UTC
    grace: 30m
    severity: P1
""",
    "channel": """channels:
  hook:
    webhook: {url: https://hooks.example.com/alerts, secret: "${env:HOOK_SECRET}"}
    description: The chat of the team
""",
    "route": """routes:
  - {name: urgent, match: ['severity=~"P0|P1"'], to: [hook]}
""",
    "window": """windows:
  monthly:
    rule: first tuesday 02:00-04:00
    timezone: UTC
    covers: ['service="website"']
    description: Monthly updates
""",
    "status_page": """status_pages:
  public:
    title: Example
    components:
      - {name: Website, monitors: [website]}
""",
    "role": """roles:
  core-on-call:
    description: Watches and silences what the core team runs
    scopes: [monitors:read, monitors:check, alerts:read, alerts:write]
    limit: ['team="core"']
    second_factor: required
    from: [10.0.0.0/8]
""",
    "service_account": """service_accounts:
  deploy:
    description: The pipeline declares monitors
    scopes: [resources:read, resources:write]
    from: [192.0.2.0/24]
""",
    "sign_in": """sign_in:
  company:
    title: Example Login
    server: https://login.example.com
    client_id: mainstay
    client_secret: "${env:OIDC_CLIENT_SECRET}"
    domains: [example.com]
    roles:
      - {group: leads, role: admin}
      - {group: sre, role: operations}
    default_role: support
""",
}
