"""Who may do what, and what was done: logins, roles, limits, the audit log."""
