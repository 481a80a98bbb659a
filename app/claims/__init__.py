"""Claims: who said what, on what occasion, printed where, with which figures."""
