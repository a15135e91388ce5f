"""`connector admin` and `connector api-key`: who may use the panel and the HTTP API."""

from __future__ import annotations

import click
from sqlalchemy.exc import IntegrityError

from connector.api.keys import KeptKey, api_keys, create_api_key, revoke
from connector.commands.context import named, one_line, opened
from connector.deployment import Deployment
from connector.models import Role
from connector.panel.signin import create_user, make_sign_in_link, remove_user, user_named, users

connection_option = click.option("--connection", "connection_name", metavar="NAME", help="The connection.")


@click.group()
def admin() -> None:
    """Users of the panel."""


@admin.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ADMIN.value, show_default=True)
@connection_option
@click.option("--extension", metavar="EXT", help="The user's own short number.")
def create_admin(name: str, role: str, connection_name: str | None, extension: str | None) -> None:
    """Create a user of the panel; print a one-time sign-in link."""
    with opened() as deployment:
        tied = named(deployment, connection_name).id if connection_name or extension else None
        try:
            user_id = create_user(deployment.database, name, Role(role), tied, extension)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        except IntegrityError:
            raise click.ClickException(f"there is a user {name} already") from None
        click.echo(f"User {name} ({role}) is there. Open this link to sign in; it works once:")
        _echo_link(deployment, user_id)


@admin.command("link")
@click.argument("name")
def new_link(name: str) -> None:
    """Print another one-time sign-in link of a user, such as for a forgotten password."""
    with opened() as deployment:
        user_id = user_named(deployment.database, name)
        if user_id is None:
            raise click.ClickException(f"there is no user {name}")
        click.echo(f"Open this link to sign in as {name}; it works once:")
        _echo_link(deployment, user_id)


@admin.command("list")
def list_users() -> None:
    """List the panel's users: ID, name, role, connection, extension."""
    with opened() as deployment:
        for user in users(deployment.database):
            shown = (user.name, user.role, user.connection or "-", user.extension or "-")
            click.echo("\t".join((str(user.id), *shown)))


@admin.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user; wherever they are signed in, that ends."""
    with opened() as deployment:
        if not remove_user(deployment.database, name):
            raise click.ClickException(f"there is no user {name}")
        click.echo(f"Removed {name}")


def _echo_link(deployment: Deployment, user_id: int) -> None:
    token = make_sign_in_link(deployment.database, user_id)
    click.echo(f"{deployment.settings.public_url}/sign-in/{token}")


@click.group()
def api_key() -> None:
    """Keys of the HTTP API."""


@api_key.command("create")
@connection_option
@click.option("--name", default="", help="What the key is for.")
def create_key(connection_name: str | None, name: str) -> None:
    """Print a new key of one connection. It is not shown again."""
    with opened() as deployment:
        found = named(deployment, connection_name)
        try:
            key = create_api_key(deployment.database, found.id, name)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"A key of connection {found.name}, shown this once:")
        click.echo(key)


@api_key.command("list")
@connection_option
def list_keys(connection_name: str | None) -> None:
    """List a connection's keys: ID, how it begins, what it is for, when it was made and last used."""
    with opened() as deployment:
        for key in api_keys(deployment.database, named(deployment, connection_name).id):
            click.echo("\t".join((str(key.id), f"{key.hint}…", one_line(key.name) or "-", *_times(key))))


def _times(key: KeptKey) -> tuple[str, ...]:
    used = f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
    made = f"made {key.created_at:%Y-%m-%d %H:%M} UTC"
    return (made, used, f"revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC") if key.revoked_at else (made, used)


@api_key.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
@connection_option
def revoke_key(key_id: int, connection_name: str | None) -> None:
    """End a key for good."""
    with opened() as deployment:
        connection_id = named(deployment, connection_name).id if connection_name else None
        if not revoke(deployment.database, connection_id, key_id):
            raise click.ClickException(f"there is no key {key_id} to revoke")
        click.echo(f"The key {key_id} opens nothing any more.")
