"""Train a tagger: python train.py --help"""

from nerlab.quiet_exit import quiet_exit

with quiet_exit():
    import sys

    from omegaconf import DictConfig

    from nerlab.command_line import command
    from nerlab.interruption import Interrupted
    from nerlab.terminal import lasting_output
    from nerlab.training.experiment import run_experiment


@command("train")
def main(config: DictConfig) -> None:
    """Train as the configuration says; a run that a signal stops ends with 128 + its number."""
    with lasting_output():
        try:
            run_experiment(config)
        except Interrupted as interrupted:
            print(interrupted, file=sys.stderr)
            sys.exit(interrupted.status)


if __name__ == "__main__":
    main()
