"""The console scripts, and ``python -m nerlab``."""

from nerlab.process import quiet_exit

with quiet_exit():
    import sys
    from functools import partial
    from importlib import import_module
    from io import TextIOWrapper

# Each is a file of nerlab/commands with a function ``run``, and one of conf/ with its keys.
VERBS = {
    "check": "what is wrong with a corpus, before it is trained on",
    "stats": "numbers and bar charts of a corpus, as one HTML page",
    "convert": "write a corpus in another format or tag scheme",
    "compare": "mean, deviation and p-values of runs on the same data",
    "subwords": "learn subword pieces from a training split",
    "summary": "the modules of a model: shapes, parameters, memory",
    "explain": "which words an entity rests on, and the best tag sequences",
    "serve": "an HTTP API and a web page of a trained tagger",
    "export": "write a trained tagger as a folder to give away, with a model card",
}
WORDS = {"compare": "runs"}  # the key that takes the words which are no key=value


@quiet_exit()
def main() -> None:
    """Run the verb that the first argument names."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print("usage: nerlab VERB key=value ..., or python -m nerlab VERB key=value ...\n")
        for name, summary in VERBS.items():
            print(f"  {name:<10}{summary}")
        print("\nnerlab VERB --help lists the keys; those of data are the same as for train.py")
    elif verb not in VERBS:
        print(f"error: {verb!r}: no such verb; expected {', '.join(VERBS)}", file=sys.stderr)
        sys.exit(1)
    else:
        from nerlab.command_line import command, find_in_current_folder

        find_in_current_folder()
        del sys.argv[1]
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        command(verb, words=WORDS.get(verb))(import_module(f"nerlab.commands.{verb}").run)()


def _run_script(name: str) -> None:
    with quiet_exit():
        from nerlab.command_line import find_in_current_folder

        find_in_current_folder()
        script = import_module(f"nerlab.commands.{name}")
    script.main()


train, evaluate, predict = (partial(_run_script, n) for n in ("train", "evaluate", "predict"))


if __name__ == "__main__":
    main()
