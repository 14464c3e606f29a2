"""The management API of Healthchecks, versions 1 to 3: https://healthchecks.io/docs/api/

Checks are heartbeats, integrations are channels, API keys are API tokens. Its addresses end in a slash or begin
with `checks/` where ours under /api/v1/ do not, so both live side by side.
"""
