"""Train a tagger: python train.py --help"""

from omegaconf import DictConfig

from nerlab.command_line import command
from nerlab.training.experiment import run_experiment


@command("train")
def main(config: DictConfig) -> None:
    """Train as the configuration says."""
    run_experiment(config)


if __name__ == "__main__":
    main()
