"""The command line: which commands there are, in the order of the help."""

import typer

from bench.cli import commands_data, commands_results, commands_run, commands_store


def _group(sentence: str) -> typer.Typer:
    return typer.Typer(help=sentence, no_args_is_help=True, rich_markup_mode=None)


app = typer.Typer(
    help="Measures generators of industrial defect images, and what their images are worth to detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(commands_run.run)
app.command("list")(commands_store.list_)
app.command()(commands_store.show)
app.command()(commands_store.status)
app.command()(commands_store.log)
app.command()(commands_results.report)
app.command()(commands_results.export)
app.command()(commands_results.compare)
app.command()(commands_run.ingest)
app.command()(commands_run.score)
app.command()(commands_results.gate)
app.command()(commands_store.gc)
app.command()(commands_store.merge)
app.command()(commands_run.check)
app.command()(commands_store.doctor)
app.command()(commands_store.verify)

data = _group("Look at data sets.")
data.command("check")(commands_data.data_check)
data.command("list")(commands_data.data_list)
data.command("make-sample")(commands_data.data_make_sample)

published = _group("Look at what papers printed, and where they contradict themselves.")
published.command("list")(commands_data.published_list)
published.command("show")(commands_data.published_show)
published.command("audit")(commands_data.published_audit)
published.command("disagreements")(commands_data.published_disagreements)

samples = _group("Look at generated images.")
samples.command("extract")(commands_results.samples_extract)

app.add_typer(data, name="data")
app.add_typer(published, name="published")
app.add_typer(samples, name="samples")
