"""Look at data before it is trained on. Keys are those of train.py; each command has a --help.

python -m nerlab.data check data=conll2003 data.dir=FOLDER       what is wrong with it
python -m nerlab.data convert data=gmb to=iobes output=FOLDER    another format or tag scheme
python -m nerlab.data stats data=conll2003 data.dir=FOLDER       pictures and numbers of it
"""

import sys
from collections.abc import Callable
from io import TextIOWrapper

from nerlab.quiet_exit import quiet_exit

with quiet_exit():
    from omegaconf import DictConfig
    from rich.console import Console

    from nerlab.command_line import command
    from nerlab.console import make_console
    from nerlab.data.tools.check import run_check
    from nerlab.data.tools.convert import run_convert
    from nerlab.data.tools.stats import run_stats
    from nerlab.threads import use_threads


def _command(name: str, work: Callable[[DictConfig, Console], None]) -> Callable[[], None]:
    """The command that does this work with the configuration of this name."""

    @command(name)
    def main(config: DictConfig) -> None:
        use_threads(config.threads)
        work(config, make_console())

    return main


COMMANDS = {
    "check": _command("check", run_check),
    "convert": _command("convert", run_convert),
    "stats": _command("stats", run_stats),
}


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(__doc__, end="")
    elif name in COMMANDS:
        del sys.argv[1]
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        COMMANDS[name]()
    else:
        sys.exit(f"error: {name!r}: no such command; expected {', '.join(COMMANDS)}")


if __name__ == "__main__":
    with quiet_exit():
        main()
