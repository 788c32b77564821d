"""The command line: one command a file; the only place that prints and exits."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

import click

from gatekeeper import __version__
from gatekeeper.errors import EXIT_CONFIGURATION, EXIT_INTERNAL, EXIT_INTERRUPTED, GatekeeperError

JUDGING = ("check", "collect", "decide")
"""Commands whose exit code is a verdict."""

COMMANDS = {
    "check": "collect evidence and decide",
    "collect": "gather the evidence that a manifest names into one bundle",
    "decide": "decide from evidence bundles, without network or files",
    "explain": "show what a rule asks, why, and what to do",
    "init": "write a manifest and settings to start from",
    "policy": "look at the policies in force",
    "schema": "print the JSON Schema of a document",
}
"""Commands and what they do; each lives in the module of its name and is imported when it is called."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gatekeeper.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gatekeeper")
def main() -> None:
    """
    Decide whether a model, dataset, feature view or agent may be promoted.

    \b
    gatekeeper check promotion.yaml                    collect, decide, report
    gatekeeper collect promotion.yaml -o bundle.json   gather the evidence only
    gatekeeper decide bundle.json                      decide from it, elsewhere
    gatekeeper explain contracts.compatible            why a rule is there

    \b
    Exit codes: 0 allow, 1 deny, 2 usage or configuration, 3 inconclusive, 4 engine, network or log
    unavailable, 70 internal error, 130 interrupted. Only 0 promotes.
    """


def run(arguments: list[str]) -> int:
    """Run a command and return the exit code; the one place where any failure ends as a message."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job inherits an ignored SIGINT
        signal.signal(number, _interrupt)
    try:
        code = main.main(arguments, prog_name="gatekeeper", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_CONFIGURATION
    except (KeyboardInterrupt, click.Abort):
        click.echo("gatekeeper: interrupted; nothing is promoted", err=True)
        return EXIT_INTERRUPTED
    except GatekeeperError as error:
        click.echo(describe(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        _discard_stdout()
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the edge: a bug must not look like a decision
        _report_bug(error, verbose="--verbose" in arguments)
        return EXIT_INTERNAL
    finally:
        if "gatekeeper.engine.embedded" in sys.modules:
            sys.modules["gatekeeper.engine.embedded"].discard_early()
    if isinstance(code, int):
        return code
    return EXIT_INTERNAL if arguments[:1] and arguments[0] in JUDGING else 0  # a judge that says nothing allows nothing


def describe(error: GatekeeperError) -> str:
    """Render an error: where, what, the line with a caret, and a hint."""
    where = str(error.location) if error.location else error.subject
    lines = [f"{where}: error: {error.problem}"]
    if error.location and error.location.caret():
        lines.append(error.location.caret())
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_bug(error: Exception, *, verbose: bool) -> None:
    if verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"gatekeeper: internal error: {type(error).__name__}: {error}", err=True)
    click.echo("hint: nothing is promoted; run again with --verbose and report it", err=True)
