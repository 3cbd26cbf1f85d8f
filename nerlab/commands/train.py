"""``train.py``, installed as ``nerlab-train``."""

from nerlab.process import quiet_exit

with quiet_exit():
    from omegaconf import DictConfig

    from nerlab.command_line import command
    from nerlab.process import lasting_output
    from nerlab.reports.report import write_report_pages
    from nerlab.reports.write_comparison import compare_sweep
    from nerlab.training.experiment import run_experiment


@command("train", after_sweep=compare_sweep)
def main(config: DictConfig) -> float:
    """Train as the configuration says; returns the best span F1 on dev, for sweepers.

    A run that a signal stops ends with 128 + its number.
    """
    with lasting_output():
        return run_experiment(config, write_report_pages)
