"""Train a tagger: python train.py --help"""

from nerlab.commands.train import main

if __name__ == "__main__":
    main()
