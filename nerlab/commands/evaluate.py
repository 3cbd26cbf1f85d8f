"""``evaluate.py``, installed as ``nerlab-evaluate``."""

from nerlab.process import quiet_exit

with quiet_exit():
    from omegaconf import DictConfig

    from nerlab.command_line import command
    from nerlab.device import use_threads
    from nerlab.evaluation.report import table
    from nerlab.inference.evaluate import evaluate
    from nerlab.messages import escape_controls, make_console
    from nerlab.reports.report import write_report_pages


@command("evaluate", open_section="data.reader")
def main(config: DictConfig) -> None:
    """Score as the configuration says, and print a table a split."""
    use_threads(config.threads)
    console = make_console()
    for report, directory in evaluate(config, write_report_pages):
        console.print(table(report))
        if report.unknown_labels:
            missed = escape_controls(" ".join(report.unknown_labels))
            console.print(f"labels that the model does not know, all missed: {missed}")
        console.print(f"written: {escape_controls(str(directory))}")
