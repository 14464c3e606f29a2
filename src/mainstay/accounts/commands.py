"""`mainstay token` and `mainstay users`: who may in, from the machine itself.

Whoever owns the data folder owns the install, so these commands act with every scope.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from mainstay.frames.opening import acting
from mainstay.frames.output import print_json, print_secret, print_table, when
from mainstay.kernel.errors import UserError

token = typer.Typer(add_completion=False, rich_markup_mode=None, help="Create and revoke API tokens and the ping key.")
users = typer.Typer(add_completion=False, rich_markup_mode=None, help="List people, add them, change their roles.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's e-mail address.")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="admin, operations, support or developer.")]


@token.callback(invoke_without_command=True)
def tokens_listed(context: typer.Context) -> None:
    """List API tokens, or make and revoke them and the ping key by the commands below."""
    if context.invoked_subcommand is None:
        list_tokens()


@users.callback(invoke_without_command=True)
def users_listed(context: typer.Context) -> None:
    """List people, or add them and change their roles by the commands below."""
    if context.invoked_subcommand is None:
        list_users()


@token.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    *,
    scope: Annotated[list[str] | None, typer.Option(help="A scope; repeat the option for more.")] = None,
    role: Annotated[str | None, typer.Option(help="All scopes of a role instead.")] = None,
    service: Annotated[str, typer.Option(help="The service account that it belongs to, with all its scopes.")] = "",
    limit: Annotated[list[str] | None, typer.Option(help='A label matcher such as team="core".')] = None,
    expires: Annotated[str, typer.Option(help="How long it is valid.")] = "90d",
    as_json: AsJson = False,
) -> None:
    """Create an API token and print it; it is never shown again."""
    days = _seconds(expires, "--expires 90d") / 86_400
    if (scope and role) or not (scope or role or service):
        raise UserError("a token needs --scope, --role or --service", hint="for example --scope monitors:read")
    actor = acting()
    from mainstay.accounts import policies, rules
    from mainstay.accounts.token_verbs import create_token

    scopes = scope or (sorted(policies.role(rules.check_role(role, policies.roles())).scopes) if role else [])
    made = create_token(actor, name, scopes, days, service=service, limits=limit or [])
    print_secret("token", made, as_json)


def _seconds(text: str, example: str) -> float:
    from mainstay.kernel.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(str(error), hint=f"for example {example}") from None


@token.command("rotate")
def rotate_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    overlap: Annotated[str, typer.Option(help="How long the old one keeps working.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Create a token that replaces another and print it; it is never shown again."""
    seconds = _seconds(overlap, "--overlap 24h")
    actor = acting()
    from mainstay.accounts.token_verbs import rotate_token as rotate

    print_secret("token", rotate(actor, _id_of(token_id), seconds), as_json)


def _id_of(text: str) -> str:
    """The id within what was given; people paste whole tokens, too."""
    parts = text.split("_")
    return parts[1] if len(parts) > 1 and parts[0] == "mst" else text


@token.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List tokens, newest first."""
    actor = acting()
    from mainstay.accounts import queries
    from mainstay.kernel.clock import to_iso

    now = time.time()
    found = queries.tokens(actor)
    if as_json:
        print_json(
            [
                {
                    "id": item.id,
                    "name": item.name,
                    "scopes": list(item.scopes),
                    "limits": list(item.limits),
                    "owner": item.owner or item.made_by,
                    "service": item.service,
                    "state": item.state(now),
                    "created_at": to_iso(item.created_at),
                    "expires_at": to_iso(item.expires_at),
                    "last_used_at": to_iso(item.last_used_at) if item.last_used_at is not None else None,
                }
                for item in found
            ]
        )
        return
    if not found:
        typer.echo("there is no token; create one with `mainstay token create NAME --role ROLE`")
        return
    columns = ["id", "name", "state", "expires", "last used", "owner", "scopes"]
    print_table(
        columns,
        [
            [
                item.id,
                item.name,
                item.state(now),
                when(item.expires_at),
                when(item.last_used_at),
                item.holder,
                " ".join(item.scopes),
            ]
            for item in found
        ],
    )


@token.command("revoke")
def revoke_token(token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")]) -> None:
    """Revoke a token immediately."""
    actor = acting()
    from mainstay.accounts.token_verbs import revoke_token as revoke

    revoke(actor, _id_of(token_id))
    typer.echo("revoked")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List people."""
    actor = acting(light=False)
    from mainstay.accounts import queries
    from mainstay.kernel.clock import to_iso

    found = queries.people(actor)
    if as_json:
        print_json(
            [
                {
                    "email": person.email,
                    "role": person.role,
                    "active": person.active,
                    "invited": person.invited,
                    "second_factor": person.factor,
                    "last_sign_in": to_iso(person.last_sign_in) if person.last_sign_in is not None else None,
                }
                for person in found
            ]
        )
        return
    if not found:
        typer.echo("nobody has an account yet; `mainstay access setup` prints the link for the first administrator")
        return
    print_table(
        ["e-mail", "role", "state", "second factor", "last sign-in"],
        [
            [
                person.email,
                person.role,
                "off" if not person.active else "invited" if person.invited else "on",
                "yes" if person.factor else "no",
                when(person.last_sign_in),
            ]
            for person in found
        ],
    )


def _print_link(secret: str) -> None:
    from mainstay.frames.boot import current_settings

    typer.echo(f"{current_settings().base_url}/join/{secret}")
    if sys.stderr.isatty():
        typer.echo("Give this link to the person: it sets a password, once, within seven days.", err=True)


@users.command("add")
def add_user(
    email: Email,
    role: Annotated[str, typer.Option(help="admin, operations, support or developer.")] = "support",
) -> None:
    """Create an account and print the link with which its owner sets a password."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    _print_link(verbs.create_user(actor, email, role))


@users.command("link")
def link_user(email: Email) -> None:
    """Print a new one-time link with which a person sets a new password."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    _print_link(verbs.make_link(actor, email))


@users.command("role")
def change_role(email: Email, role: Role) -> None:
    """Give a person another role."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    verbs.change_role(actor, email, role)
    typer.echo(f"{email}: {role}")


@users.command("address")
def change_address(
    email: Email, address: Annotated[str, typer.Argument(metavar="NEW", help="The new e-mail address.")]
) -> None:
    """Change the e-mail address that a person signs in with; both addresses are notified."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    verbs.change_address(actor, email, address)
    typer.echo(f"{email}: {address} now")


@users.command("off")
def switch_off(email: Email) -> None:
    """Switch an account off: its sessions and tokens end at once."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    verbs.deactivate(actor, email)
    typer.echo(f"{email}: off")


@users.command("on")
def switch_on(email: Email) -> None:
    """Switch an account on again."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    verbs.reactivate(actor, email)
    typer.echo(f"{email}: on")


@users.command("reset-factor")
def reset_factor(email: Email) -> None:
    """Remove a lost second factor, so that a new one can be set up."""
    actor = acting(light=False)
    from mainstay.accounts import verbs

    verbs.reset_second_factor(actor, email)
    typer.echo(f"{email}: second factor removed")
