"""Words of messages."""

from nerlab.messages import counted


def test_a_number_and_its_noun_agree() -> None:
    found = [counted(n, "epoch") for n in (0, 1, 2, 1200)]
    assert found == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]
