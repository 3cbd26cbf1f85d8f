"""Score a checkpoint: python evaluate.py --help"""

from nerlab.commands.evaluate import main

if __name__ == "__main__":
    main()
