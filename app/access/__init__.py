"""Who may do what: keys, roles, and the boundary of a request."""
