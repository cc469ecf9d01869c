"""The command ``hepatic``."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from hepatic.errors import HepaticError
from server.commands import (
    audit,
    deidentify,
    demo_weights,
    evaluate,
    import_data,
    import_dir,
    infer,
    jobs,
    models,
    pacs,
    qa,
    quarantine,
    sample_data,
    serve,
    start_server,
    tokens,
    train,
)

app = typer.Typer(
    name="hepatic",
    help="Annotate and learn from images of liver tumours: a server for 3D Slicer and OHIF, and what it takes.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("start_server", hidden=True, context_settings=start_server.CONTEXT)(start_server.start_server)
app.command("start-server", hidden=True, context_settings=start_server.CONTEXT)(start_server.start_server)
app.command("infer")(infer.infer)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("import")(import_data.import_data)
app.command("import-dir")(import_dir.import_dir)
app.command("sample-data")(sample_data.sample_data)
models.app.command("make-demo")(demo_weights.make_demo)
app.add_typer(models.app, name="models")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.add_typer(jobs.app, name="jobs")
app.add_typer(qa.app, name="qa")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(deidentify.app, name="deidentify")
app.add_typer(pacs.app, name="pacs")

WRONG_INPUT = 2


def main() -> None:
    """Run the command; what a person can put right is said in one line, with exit code 2."""
    try:
        app()
    except HepaticError as failure:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(failure))}", soft_wrap=True, highlight=False)
        sys.exit(WRONG_INPUT)


if __name__ == "__main__":
    main()
