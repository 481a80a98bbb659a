"""What claims are to one another: judged by checkers, and suggested to them."""
