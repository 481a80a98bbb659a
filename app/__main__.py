"""`python -m app`."""

import gc

gc.disable()  # what is imported stays: to look through it again and again takes a third of the start
from app.cli import main  # noqa: E402 (see above)

gc.freeze()
gc.enable()
main()
