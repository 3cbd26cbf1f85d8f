"""Train a tagger: python train.py --help"""

import hydra
from omegaconf import DictConfig

from nerlab.command_line import command
from nerlab.config import register_schemas
from nerlab.training.experiment import run_experiment

register_schemas()


@command
@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    run_experiment(config)


if __name__ == "__main__":
    main()
