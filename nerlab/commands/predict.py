"""``predict.py``, installed as ``nerlab-predict``."""

from nerlab.process import quiet_exit

with quiet_exit():
    from omegaconf import DictConfig

    from nerlab.command_line import command
    from nerlab.device import use_threads
    from nerlab.reports.prediction import run_prediction


@command("predict")
def main(config: DictConfig) -> None:
    """Tag what the configuration names."""
    use_threads(config.threads)
    run_prediction(config)
