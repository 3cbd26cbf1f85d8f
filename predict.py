"""Tag raw text: python predict.py --help"""

from nerlab.commands.predict import main

if __name__ == "__main__":
    main()
